package tailer

import "bytes"

// The states of frames.
const (
	framesHeader uint32 = iota + 1 // the exception is named
	framesIn                       // its frames have begun
	framesSource                   // Node shows the source line first
	framesObject                   // Node shows the error's own properties after its frames
)

// frames is the language of Java, .NET and Node: an exception, then indented
// lines "at …".
func frames(state uint32, line []byte) (joins bool, next uint32, end bool) {
	text := bytes.TrimLeft(line, " \t")
	in := len(text) < len(line)
	switch {
	case in && isFrame(text):
		if line[len(line)-1] == '{' {
			return true, framesObject, false
		}
		return true, framesIn, false
	case hasAnyPrefix(text, "Caused by: ", "Suppressed: ", "Wrapped by: ", "---> "):
		return true, framesHeader, false
	case state == 0 || state == framesSource:
		if isException(line) {
			return state == framesSource || bytes.IndexByte(line[:nameLen(line)], '.') > 0, framesHeader, false
		}
		if state == framesSource && in {
			return true, framesSource, false
		}
		return false, firstOfFrames(line), false
	case hasAnyPrefix(text, "--- ") && bytes.HasSuffix(text, []byte(" ---")): // --- End of inner exception stack trace ---
		return true, framesIn, false
	case state == framesObject:
		if line[0] == '}' {
			return true, framesIn, false
		}
		return in, framesObject, false
	case in: // locks, a message of several lines
		return true, state, false
	case hasAnyPrefix(line, "Node.js v"):
		return true, 0, true
	case isException(line):
		return false, framesHeader, false
	}
	return false, firstOfFrames(line), false
}

// firstOfFrames returns the state after a line that may announce a trace.
func firstOfFrames(line []byte) uint32 {
	switch {
	case hasAnyPrefix(line, "Exception in thread ", "Unhandled exception", "Unhandled Exception"):
		return framesHeader
	case hasAnyPrefix(line, "/", "file://", "node:") && endsWithLineNumber(line):
		return framesSource
	}
	return 0
}

// isFrame reports whether an indented line is a frame. .NET translates "at".
func isFrame(text []byte) bool {
	switch {
	case hasAnyPrefix(text, "at "):
		return bytes.IndexByte(text, '(') > 0 || bytes.IndexByte(text, ':') > 0
	case hasAnyPrefix(text, "bei ", "à ", "en ", "в "):
		return bytes.IndexByte(text, '(') > 0
	case hasAnyPrefix(text, "... "):
		return len(text) > 4 && isDigit(text[4])
	}
	return false
}

// The states of python.
const (
	pythonFrames uint32 = iota + 1
	pythonDone          // the exception is named, which ends the trace
	pythonChain         // another trace is announced
)

// python is the language of Python's tracebacks, which end with the exception.
func python(state uint32, line []byte) (joins bool, next uint32, end bool) {
	in := indented(line)
	switch {
	case bytes.HasSuffix(line, []byte("Traceback (most recent call last):")):
		alone := in || line[0] == 'T'
		return alone && state != pythonDone && (in || state != pythonFrames), pythonFrames, false
	case in && hasAnyPrefix(bytes.TrimLeft(line, " \t"), `File "`):
		return true, pythonFrames, false
	case state == pythonFrames && in:
		return true, pythonFrames, false
	case state == pythonFrames:
		n := nameLen(line)
		if n > 0 && (n == len(line) || line[n] == ':') {
			return true, pythonDone, false
		}
	case state == pythonDone && hasAnyPrefix(line, "During handling of the above exception", "The above exception was the direct cause"):
		return true, pythonChain, false
	case state == pythonDone && in: // a message of several lines, notes
		return true, pythonDone, false
	}
	return false, 0, false
}

// The states of golang.
const (
	golangPanic uint32 = iota + 1
	golangTrace
)

// golang is the language of Go's panics and goroutine dumps.
func golang(state uint32, line []byte) (joins bool, next uint32, end bool) {
	in := indented(line)
	switch {
	case hasAnyPrefix(line, "goroutine ") && len(line) > 10 && isDigit(line[10]) && bytes.HasSuffix(line, []byte("]:")):
		return true, golangTrace, false
	case hasAnyPrefix(line, "panic: ", "fatal error: ", "SIGQUIT: ", "SIGABRT: ", "unexpected fault address "):
		return state == golangPanic, golangPanic, false
	case state == golangPanic:
		return in || hasAnyPrefix(line, "[signal ", "[originating ", "runtime: ", "runtime stack:", "PC="), golangPanic, false
	case state == golangTrace && hasAnyPrefix(line, "exit status "):
		return true, 0, true
	case state == golangTrace:
		return in || isCall(line) || hasAnyPrefix(line, "created by ", "runtime stack:", "...") || isRegister(line), golangTrace, false
	}
	return false, 0, false
}

// isCall reports whether line is a function with its arguments, main.f(0x1, …).
func isCall(line []byte) bool {
	open := bytes.IndexByte(line, '(')
	space := bytes.IndexByte(line, ' ')
	return open > 0 && line[len(line)-1] == ')' && (space < 0 || space > open)
}

// isRegister reports whether line shows a processor's register: rax    0x0.
func isRegister(line []byte) bool {
	name, value, found := bytes.Cut(line, []byte(" "))
	return found && len(name) <= 6 && bytes.HasPrefix(bytes.TrimLeft(value, " "), []byte("0x"))
}

// ruby is the language of Ruby, whose frames are file.rb:12:in `method'. It has
// one state, in which a trace has begun.
func ruby(state uint32, line []byte) (joins bool, next uint32, end bool) {
	text := bytes.TrimLeft(line, " \t")
	at := bytes.Index(text, []byte(":in "))
	if at < 1 || !endsWithLineNumber(text[:at]) {
		return false, 0, false
	}
	if len(text) < len(line) && hasAnyPrefix(text, "from ") {
		return true, 1, false
	}
	// With a message behind it, it is where the trace begins.
	return text[len(text)-1] == '\'', 1, false
}

// php is the language of PHP, whose frames are #0 file.php(12): f(). It has one
// state, in which a trace has begun.
func php(state uint32, line []byte) (joins bool, next uint32, end bool) {
	text := bytes.TrimLeft(line, " \t")
	switch {
	case hasAnyPrefix(text, "Stack trace:", "[stacktrace]", "[previous exception]", "PHP Stack trace:"):
		return true, 1, false
	case text[0] == '#' && len(text) > 2 && isDigit(text[1]):
		return state != 0 || bytes.IndexByte(text, '(') > 0 || bytes.HasSuffix(text, []byte("{main}")), 1, false
	case state == 0:
		return false, 0, false
	case len(text) < len(line) && hasAnyPrefix(text, "thrown in "), hasAnyPrefix(text, `"}`):
		return true, 0, true
	case hasAnyPrefix(text, "Next "):
		return true, 1, false
	case hasAnyPrefix(text, "PHP "):
		number := bytes.TrimLeft(text[4:], " ")
		return len(number) > 0 && isDigit(number[0]), 1, false
	}
	return false, 0, false
}

func indented(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func hasAnyPrefix(line []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if len(line) >= len(p) && string(line[:len(p)]) == p {
			return true
		}
	}
	return false
}

// nameLen returns how long the qualified name is with which line begins.
func nameLen(line []byte) int {
	for i, c := range line {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c >= 0x80
		if !letter && (i == 0 || !isDigit(c) && c != '.' && c != '$' && c != '+' && c != '`') {
			return i
		}
	}
	return len(line)
}

// isException reports whether line names an exception: by a name that ends as
// theirs do, alone or before a colon or, in Node, a code in brackets.
func isException(line []byte) bool {
	n := nameLen(line)
	name, rest := line[:n], line[n:]
	if !bytes.HasSuffix(name, []byte("Exception")) && !bytes.HasSuffix(name, []byte("Error")) && !bytes.HasSuffix(name, []byte("Throwable")) {
		return false
	}
	return len(rest) == 0 || rest[0] == ':' || hasAnyPrefix(rest, " [", " (")
}

// endsWithLineNumber reports whether line ends with a colon and a number.
func endsWithLineNumber(line []byte) bool {
	i := len(line)
	for i > 0 && isDigit(line[i-1]) {
		i--
	}
	return i > 0 && i < len(line) && line[i-1] == ':'
}
