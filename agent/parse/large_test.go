package parse

import (
	"fmt"
	"strings"
	"testing"
)

// TestLargeEntries has entries that cost more than their size, if the reader
// goes back over them: it would take minutes then. What is written is bounded
// too.
func TestLargeEntries(t *testing.T) {
	for _, format := range Formats() {
		t.Run(format, func(t *testing.T) {
			size := 64 << 10
			if format == "grok" || testing.Short() {
				size = 16 << 10
			}
			f, err := New(format, usualOptions(format))
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range largeEntries(size) {
				p := f.NewParser(nil)
				if first := map[string]string{"csv": "x,y", "w3c": "#Fields: a b"}[format]; first != "" {
					written(p, first)
				}
				if out := written(p, in); len(out) > 8*len(in)+1000 {
					t.Errorf("%d bytes of %.40q become %d", len(in), in, len(out))
				}
				if d, ok := f.(Detector); ok {
					d.Detect([]byte(in))
				}
			}
		})
	}
}

func largeEntries(size int) []string {
	many := func(s string) string { return strings.Repeat(s, size/len(s)) }
	var members strings.Builder
	for i := range size / 16 {
		fmt.Fprintf(&members, `"k%d":1,`, i)
	}
	const clf, syslog = `1.2.3.4 - - [25/Jan/2026:10:10:10 +0100] `, `<34>1 - - - - - `
	return []string{
		many(`"`), many("a=b "), many("a=1 a"), many(" "), many(","), many("["), many(`\"`), `a="` + many(`\\`),
		clf + `"` + many(`\"`) + `" 200 1`, clf + many(`"" `),
		syslog + `[a ` + many(`b="c" `) + `]`, syslog + many(`[a b="c"]`), syslog + many(`[`),
		`2026/01/25 10:10:10 [error] 1#1: *1 x` + many(", client: x"), "[Sun Jan 25 10:10:10 2026] [error] " + many("[pid 1] "),
		`{"@mt":"` + many("{a}") + `","a":"b"}`, `{"@mt":"` + many("{") + `","a":"b"}`, `{"@mt":"` + many("{a") + `","a":"b"}`,
		`{"@mt":"` + many("{a:0}") + `","@r":[` + many("1,") + `1],"a":"b"}`, `{"@mt":"` + many("{zz}") + `",` + members.String() + `"a":"b"}`,
		`{"a":` + many("[") + `}`, `{` + many(`"a":1,`) + `"b":1}`, `{"log":"` + many(`\\`) + `","stream":"stdout","time":"x"}`,
		`{"log":"` + many(`\u00e9`) + `","stream":"stdout","time":"x"}`, many(`{"log":"a","stream":"stdout","time":"x","o":1}` + "\n"),
		`{"log":"a","stream":"stdout","time":"x",` + many(`"o":1,`) + `"p":1}`, many("2016-10-06T00:17:09Z stdout P a\n"),
		"#Fields: " + many("a "), many("a") + ": x",
	}
}
