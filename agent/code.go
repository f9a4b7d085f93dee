package agent

import "strings"

// CodeOf returns the code of a message: each that tells an operator of something
// wrong ends with one, in brackets, as "topic "x" does not exist: create it
// [kafka-topic-missing]" does. Codes are words in small letters with dashes between, they
// stay the same from version to version, and README lists them with what to do.
// Of several the last counts; "" where there is none.
func CodeOf(message string) string {
	for end := len(message); ; {
		end = strings.LastIndexByte(message[:end], ']')
		if end < 0 {
			return ""
		}
		start := strings.LastIndex(message[:end], " [")
		if start < 0 {
			return ""
		}
		if code := message[start+2 : end]; isCode(code) {
			return code
		}
	}
}

func isCode(s string) bool {
	dashes := 0
	for i, c := range []byte(s) {
		switch {
		case c == '-' && i > 0 && i < len(s)-1 && s[i-1] != '-':
			dashes++
		case c < 'a' || c > 'z':
			return false
		}
	}
	return dashes > 0
}
