package agent

import (
	"cmp"
	"slices"
	"strings"

	"shiplog/agent/config"
	"shiplog/agent/parse"
	"shiplog/tailer"
)

// TailerInput says to the tailer how the files of an input are read. Its error
// is of type config.Errors.
func TailerInput(in *config.Input) (tailer.Input, error) {
	if err := tailer.CheckEncoding(in.Encoding); err != nil {
		return tailer.Input{}, config.Errors{in.EncodingAt.Error(err.Error())}
	}
	j, err := joiner(in)
	if err != nil {
		return tailer.Input{}, config.Errors{in.At.Error(err.Error())}
	}
	return tailer.Input{
		Name: in.Name, Paths: in.Paths, Exclude: in.Exclude, FromEnd: in.Start == "end", Encoding: in.Encoding,
		MaxLineBytes: int(in.MaxLineBytes), RotateWait: in.RotateWait, FlushPartialAfter: in.FlushPartialAfter,
		Joiner: j, JoinLines: in.Multiline.MaxLines, JoinBytes: int(cmp.Or(in.Multiline.MaxBytes, in.MaxLineBytes)), JoinWait: in.Multiline.Wait,
	}, nil
}

// joiner says which lines of the input make one entry; nil: each is one.
func joiner(in *config.Input) (tailer.Joiner, error) {
	// A container's lines come in pieces, whatever the lines are.
	switch in.Format {
	case "docker":
		return joinFunc(parse.DockerJoin), nil
	case "cri":
		return joinFunc(parse.CRIJoin), nil
	}
	m := &in.Multiline
	switch m.Preset {
	case "none":
		return nil, nil
	case "auto":
		if slices.Contains(lineFormats(), in.Format) {
			return nil, nil
		}
		return piecesToo(in, tailer.NewAutoJoiner(parse.BeginsEntry)), nil
	case "":
		return tailer.NewPatternJoiner(m.Start, m.Continue, m.End), nil
	}
	j, err := tailer.NewPresetJoiner(strings.ToLower(m.Preset))
	if err != nil {
		return nil, err
	}
	return piecesToo(in, j), nil
}

// piecesToo has the pieces of a container's lines joined as well where the files
// may be those of containers.
func piecesToo(in *config.Input, lines tailer.Joiner) tailer.Joiner {
	if in.Format != "auto" {
		return lines
	}
	return pieceJoiner{lines}
}

// pieceJoiner joins the pieces of a container's lines, and other lines as another
// joiner does. Its state is one of the two: theirs never fall together, since
// those of package tailer have the highest bit.
type pieceJoiner struct{ lines tailer.Joiner }

// Join implements tailer.Joiner.
func (j pieceJoiner) Join(state uint32, line []byte) (joins bool, next uint32) {
	if piece, joins, next := parse.PieceJoin(state, line); piece {
		return joins, next
	}
	if parse.IsPieceState(state) {
		_, next = j.lines.Join(0, line)
		return false, next
	}
	return j.lines.Join(state, line)
}

// lineFormats are the formats of which each line is an entry, whatever it begins
// with: that of an access log may begin with a name in which no time is found.
func lineFormats() []string { return []string{"logfmt", "csv", "w3c", "clf", "syslog"} }

// joinFunc is a function as a tailer.Joiner.
type joinFunc func(state uint32, line []byte) (joins bool, next uint32)

// Join calls the function.
func (f joinFunc) Join(state uint32, line []byte) (joins bool, next uint32) { return f(state, line) }
