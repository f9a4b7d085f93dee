package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"shiplog/agent/config"
)

// Survey is what was found at the places that were looked at.
type Survey struct {
	Inputs  []SurveyedInput
	Skipped []SkippedFile
	// More says that there were more files than a survey looks at.
	More bool
}

// SurveyedInput is a log, or several of one kind in one folder.
type SurveyedInput struct {
	Name        string
	Application string // as the names tell it: a guess
	Paths       []string
	Exclude     []string
	Format      string // to be configured
	Seen        string // what says so
	Encoding    string // to be configured; auto nearly always
	Strange     int    // the line, from 1, with the first bytes that are no UTF-8; 0: none
	Joined      int    // of Entries, those of several lines
	Longest     int    // lines of the longest
	Times       int    // of Entries, those that tell when they were written
	Entries     int    // that were looked at
	Live        int    // files that the paths match
	Old         int    // rotated files that they do not match
	Dated       bool   // each period has a file of its own
	Example     string // the file that was looked at
}

// SkippedFile is a file or a folder that is in no input.
type SkippedFile struct {
	Path   string
	Reason string
	Err    error // not nil where it cannot be read
}

const (
	surveyBytes   = 512 << 10 // of a file that are looked at
	surveyFiles   = 5000
	surveyDepth   = 4  // folders below the one that was asked for
	firmSample    = 50 // entries after which a format may be written down
	otherEncoding = "windows-1252"
)

// TakeSurvey looks at files, folders and patterns. Its error says that one of
// them is wrong or not there; what cannot be read is in the survey.
func TakeSurvey(places []string) (*Survey, error) {
	s := &surveyor{files: map[string]bool{}, folders: map[string][]string{}, out: &Survey{}}
	for _, place := range places {
		if err := s.look(place, true); err != nil {
			return nil, err
		}
	}
	return s.finish(), nil
}

// SurveyUsual looks at the places where logs usually are.
func SurveyUsual() *Survey {
	s := &surveyor{files: map[string]bool{}, folders: map[string][]string{}, out: &Survey{}}
	for _, place := range usualPlaces() {
		if err := s.look(place, false); err != nil {
			s.skip(place, "", err)
		}
	}
	return s.finish()
}

// surveyor takes one survey.
type surveyor struct {
	files   map[string]bool     // absolute paths; true: asked for by name or pattern
	folders map[string][]string // the names in each
	out     *Survey
}

func (s *surveyor) skip(path, reason string, err error) {
	if err != nil {
		reason = withoutPath(err)
	}
	s.out.Skipped = append(s.out.Skipped, SkippedFile{path, reason, err})
}

// withoutPath is the text of an error whose path is told beside it.
func withoutPath(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return err.Error()
}

// look adds the files at a place, which has to be there if it was asked for.
func (s *surveyor) look(place string, asked bool) error {
	abs, err := filepath.Abs(place)
	if err != nil {
		return err
	}
	switch fi, err := os.Stat(abs); {
	case err == nil && fi.IsDir():
		s.walk(abs)
		return nil
	case err == nil:
		s.addIfRead(abs, fi, asked)
		return nil
	case errors.Is(err, fs.ErrPermission):
		s.skip(abs, "", err)
		return nil
	case !strings.ContainsAny(place, "*?[{"):
		if asked {
			return err
		}
		return nil
	}
	matches, err := doublestar.FilepathGlob(abs)
	if err != nil {
		return fmt.Errorf("pattern %q: %w", place, err)
	}
	if len(matches) == 0 && asked {
		return fmt.Errorf("nothing matches the pattern %s", place)
	}
	for _, m := range matches {
		fi, err := os.Stat(m)
		switch {
		case err != nil:
			s.skip(m, "", err)
		case fi.IsDir():
			if !asked {
				s.walk(m)
			}
		default:
			s.addIfRead(m, fi, asked)
		}
	}
	return nil
}

// addIfRead adds a file, but for what a run never reads.
func (s *surveyor) addIfRead(path string, fi fs.FileInfo, asked bool) {
	if mode := fi.Mode(); !mode.IsRegular() && mode&fs.ModeNamedPipe == 0 {
		s.skip(path, fmt.Sprintf("it is a %s, which is never read", nameOf(mode)), nil)
		return
	}
	s.add(path, asked)
}

func (s *surveyor) add(path string, asked bool) {
	if _, known := s.files[path]; !known && len(s.files) >= surveyFiles {
		s.out.More = true
		return
	}
	s.files[path] = s.files[path] || asked
}

// walk adds what may be logs in a folder and those below.
func (s *surveyor) walk(root string) {
	depth := strings.Count(root, string(filepath.Separator))
	walk := func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // it may go while we look
				s.skip(path, "", err)
			}
			return fs.SkipDir
		}
		if d.IsDir() {
			if path != root && (strings.Count(path, string(filepath.Separator))-depth > surveyDepth || strings.HasPrefix(d.Name(), ".") || d.Name() == "journal") {
				return fs.SkipDir
			}
			return nil
		}
		regular := d.Type().IsRegular()
		if d.Type()&fs.ModeSymlink != 0 {
			fi, err := os.Stat(path)
			regular = err == nil && fi.Mode().IsRegular()
		}
		if regular && looksLikeLog(d.Name()) && !slices.Contains(recordsOfLogins(), logNameOf(d.Name(), func(string) bool { return false }).pattern) {
			s.add(path, false)
		}
		return nil
	}
	if err := filepath.WalkDir(root, walk); err != nil && !errors.Is(err, fs.SkipDir) {
		s.skip(root, "", err)
	}
}

// family is a log with its rotated files.
type family struct {
	dir, pattern string
	dated        bool
	asked        bool
	live, old    []string // paths
}

// finish looks into the files.
func (s *surveyor) finish() *Survey {
	families := map[[2]string]*family{}
	for path, asked := range s.files {
		dir, name := filepath.Split(path)
		n := logNameOf(name, func(other string) bool {
			fi, err := os.Stat(filepath.Join(dir, other))
			return err == nil && fi.Mode().IsRegular()
		})
		f := families[[2]string{dir, n.pattern}]
		if f == nil {
			f = &family{dir: dir, pattern: n.pattern}
			families[[2]string{dir, n.pattern}] = f
		}
		f.dated, f.asked = f.dated || n.dated, f.asked || asked
		if n.old {
			f.old = append(f.old, path)
		} else {
			f.live = append(f.live, path)
		}
	}
	var logs []*surveyedLog
	for _, f := range families {
		if l := s.examine(f); l != nil {
			logs = append(logs, l)
		}
	}
	s.out.Inputs = groupLogs(logs)
	slices.SortFunc(s.out.Skipped, func(a, b SkippedFile) int { return strings.Compare(a.Path, b.Path) })
	return s.out
}

// surveyedLog is a family that was looked into.
type surveyedLog struct {
	*family
	input SurveyedInput
}

// examine looks into the newest file of a family that is not empty. It is nil
// where there is nothing to be read.
func (s *surveyor) examine(f *family) *surveyedLog {
	l := &surveyedLog{family: f, input: SurveyedInput{Format: "auto", Encoding: "auto", Seen: "it is empty", Dated: f.dated}}
	for _, path := range append(newestFirst(f.live), newestFirst(f.old)...) {
		fi, err := os.Stat(path)
		if err == nil && fi.Size() == 0 {
			continue
		}
		var sample []byte
		if err == nil {
			sample, err = sampleOf(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			s.skip(path, "", err)
			return nil
		case !l.input.judge(sample):
			s.skip(path, "it is no text", nil)
			return nil
		default:
			l.input.Example = path
			return l
		}
	}
	if !f.asked || len(f.live) == 0 {
		return nil // an empty file that nobody asked for
	}
	l.input.Example = f.live[0]
	return l
}

func newestFirst(paths []string) []string {
	at := func(path string) time.Time {
		fi, err := os.Stat(path)
		if err != nil {
			return time.Time{}
		}
		return fi.ModTime()
	}
	out := slices.Sorted(slices.Values(paths))
	slices.SortStableFunc(out, func(a, b string) int { return at(b).Compare(at(a)) })
	return out
}

// sampleOf returns the beginning of a file, up to its last line that is whole.
func sampleOf(path string) ([]byte, error) {
	r, err := OpenLog(path)
	if err != nil {
		return nil, err
	}
	sample, err := io.ReadAll(io.LimitReader(r, surveyBytes))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	return sample, nil
}

// judge tells from a sample how a log is to be read. It reports false where that
// is no text.
func (in *SurveyedInput) judge(sample []byte) bool {
	found := readSample("auto", in.Encoding, sample)
	if found == nil || found.Entries == 0 {
		return found != nil
	}
	if found.Encoding == "utf-8" {
		if line, share := notUTF8(sample); line > 0 {
			if share > 0.3 {
				return false
			}
			in.Strange, in.Encoding = line, otherEncoding
			if found = readSample("auto", in.Encoding, sample); found == nil {
				return false
			}
		}
	}
	in.Entries, in.Joined, in.Longest, in.Times = found.Entries, found.Joined, found.Longest, found.Times
	in.Seen = fmt.Sprintf("%s: %s", found.Format, found.Reason)
	if found.Format == "raw" || found.Format == "text" && found.Entries < firmSample {
		return true // auto reads it so, and better where more is there
	}
	exact := readSample(found.Format, in.Encoding, sample)
	if exact == nil || exact.Whole() > 0 {
		in.Seen += "; auto reads the others as text"
		return true
	}
	in.Format, in.Joined, in.Longest, in.Entries, in.Times = found.Format, exact.Joined, exact.Longest, exact.Entries, exact.Times
	return true
}

// readSample reads a sample in a format; nil where that cannot be done.
func readSample(format, encoding string, sample []byte) *Inspection {
	in := config.DefaultInput()
	in.Format, in.Encoding = format, encoding
	n, err := NewInspector(&config.Config{}, &in)
	if err != nil {
		return nil
	}
	found, err := n.Read(strings.NewReader(string(sample)), func(*Inspected) error { return nil })
	if err != nil {
		return nil
	}
	return found
}

// notUTF8 returns the line with the first bytes that are no UTF-8, 0 for none,
// and which share of all bytes are no text.
func notUTF8(sample []byte) (line int, share float64) {
	at, bad := 1, 0
	for i := 0; i < len(sample); {
		r, n := utf8.DecodeRune(sample[i:])
		switch {
		case r == utf8.RuneError && n == 1 && (len(sample)-i >= utf8.UTFMax || len(sample) < surveyBytes):
			if bad++; line == 0 {
				line = at
			}
		case r == '\n':
			at++
		case r < ' ' && r != '\t' && r != '\r' && r != 0x1b && r != '\f':
			bad++
		}
		i += n
	}
	share = float64(bad) / float64(max(1, len(sample)))
	if line == 0 && share > 0.3 {
		line = 1
	}
	return line, share
}
