package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"shiplog/agent"
)

// codesInSource returns the codes that messages of the source end with, by where they
// stand, and where a warning or an error is logged that has none.
func codesInSource(t *testing.T) (codes map[string]string, without []string) {
	t.Helper()
	codes = map[string]string{}
	fset := token.NewFileSet()
	for _, dir := range []string{"../../agent", "../../tailer", "../../shipper", "."} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "kafkatest") {
				return err
			}
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && strings.HasSuffix(text, "]") {
						if code := agent.CodeOf(text); code != "" {
							codes[code] = fset.Position(n.Pos()).String()
						}
					}
				case *ast.CallExpr:
					if lacksCode(n) {
						without = append(without, fset.Position(n.Pos()).String())
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return codes, without
}

// lacksCode reports whether a call logs a warning or an error with a message that
// is written there, and has no code. A message in a variable was made where the
// problem was found.
func lacksCode(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Warn" && f.Sel.Name != "Error" || len(call.Args) == 0 {
		return false
	}
	written, coded := false, false
	ast.Inspect(call.Args[0], func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			return false
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			written = written || err == nil && len(text) > len("still: ") // which goes before one in a variable
			coded = coded || agent.CodeOf(text) != ""
		}
		return true
	})
	return written && !coded
}

// TestCodes holds the table of errors in README to those in the source, both
// ways. Each has a sentence on what to do.
func TestCodes(t *testing.T) {
	codes, without := codesInSource(t)
	if len(codes) < 50 {
		t.Fatalf("only %d codes were found in the source", len(codes))
	}
	for _, place := range without {
		t.Errorf("%s: a warning or an error without a code in brackets at the end of its message", place)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z]+(?:-[a-z]+)+)` \\| ([^|\\n]+) \\| ([^|\\n]+) \\|$")
	var listed []string
	for _, m := range row.FindAllStringSubmatch(string(readme), -1) {
		if slices.Contains(listed, m[1]) {
			t.Errorf("README has two lines for %s", m[1])
		}
		listed = append(listed, m[1])
		if codes[m[1]] == "" {
			t.Errorf("README lists %s, which is nowhere in the source", m[1])
		}
		if len(strings.Fields(m[3])) < 3 {
			t.Errorf("README does not say what to do about %s: %q", m[1], m[3])
		}
	}
	for code, place := range codes {
		if !slices.Contains(listed, code) {
			t.Errorf("%s: README has no line for %s", place, code)
		}
	}
	if !slices.IsSorted(listed) {
		t.Errorf("README does not list the codes in their order: %q", listed)
	}
}

// TestWithCode ends what is printed of an error with its code, or that of its kind.
func TestWithCode(t *testing.T) {
	for want, err := range map[string]error{
		"a: b [state-in-use]":             fmt.Errorf("a: %w", errors.New("b [state-in-use]")),
		"no [wrong-usage]":                usageError{errors.New("no")},
		"such as:\n  a: b\n [run-failed]": errors.New("such as:\n  a: b"),
		"x: permission [not-found]":       fmt.Errorf("x: %w", errNotThere{}),
		"[1] is no code [run-failed]":     errors.New("[1] is no code"),
		"a [b-c] in it d":                 errors.New("a [b-c] in it d"),
		"of [a] and [-b-] [run-failed]":   errors.New("of [a] and [-b-]"),
	} {
		if got := withCode(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

type errNotThere struct{}

func (errNotThere) Error() string        { return "permission" }
func (errNotThere) Is(target error) bool { return target == fs.ErrNotExist }
