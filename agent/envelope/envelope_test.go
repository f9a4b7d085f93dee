package envelope

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func text(s string) Value { return Value{Text, []byte(s)} }
func raw(s string) Value  { return Value{JSON, []byte(s)} }

func TestAppendJSON(t *testing.T) {
	for name, c := range map[string]struct {
		e    Envelope
		want string
	}{
		"nothing": {Envelope{}, `{"message":"","payload":{"application":"","params":{}}}`},
		"all": {Envelope{
			Message: text("a \"b\"\n"), Application: raw(`"A\u0020b"`), Username: text("u"), Operation: text("o"),
			Params:       []Member{{text("k"), raw("1e400")}, {raw(`"x"`), text("y")}},
			PayloadExtra: []Member{{text("p"), raw("[1]")}}, Extra: []Member{{text("t"), raw("null")}},
		}, `{"message":"a \"b\"\n","payload":{"application":"A\u0020b","username":"u","operation":"o","params":{"k":1e400,"x":"y"},"p":[1]},"t":null}`},
		"raw": {Envelope{Raw: []byte(`{"x" : 1}`), Message: text("no")}, `{"x" : 1}`},
	} {
		if got := string(c.e.AppendJSON(nil)); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", name, got, c.want)
		}
	}
}

func TestAppendApplication(t *testing.T) {
	for want, v := range map[string]Value{"A b": raw(`"A\u0020b"`), "x\"": text(`x"`), "12": raw("12"), "": {}} {
		e := Envelope{Application: v}
		if got := string(e.AppendApplication(nil)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReset(t *testing.T) {
	e := Envelope{Raw: []byte("x"), Message: text("m"), Params: make([]Member, 3)}
	e.Keep(make([]byte, 100))
	big := Envelope{Params: make([]Member, 0, 5000)}
	big.Keep(make([]byte, keptScratch+1))
	for _, e := range []*Envelope{&e, &big} {
		e.Reset()
		if e.Raw != nil || e.Message.Kind != None || len(e.Params) != 0 || len(e.scratch) != 0 {
			t.Errorf("not empty: %+v", e)
		}
	}
	if cap(e.Params) != 3 || cap(e.scratch) < 100 || cap(big.Params) != 0 || cap(big.scratch) != 0 {
		t.Error("usual memory is not kept, or unusual memory is")
	}
}

// TestAppendStringByPosition puts each special character at each place of a
// word, since eight bytes are looked at together.
func TestAppendStringByPosition(t *testing.T) {
	for _, special := range []string{"\"", "\\", "\n", "\x00", "\x1f", "\x7f", "é", "\xff", "\u2028", "<", "!", "#", "[", "]"} {
		for at := range 20 {
			in := strings.Repeat("a", at) + special + strings.Repeat("b", 20-at)
			got := AppendString(nil, []byte(in))
			var back string
			if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(in, "\uFFFD") {
				t.Errorf("%q becomes %s (%v)", in, got, err)
			}
		}
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add([]byte("plain text \" and \\ more"))
	f.Add([]byte("\xc3\x28 \xe2\x82 \xf0\x9f\x98\x80"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := AppendString([]byte("x"), in)[1:]
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q becomes %q: %v", in, got, err)
		}
		if !utf8.Valid(got) || bytes.ContainsAny(got, "\n\x00") {
			t.Fatalf("%q is not clean", got)
		}
		if want := string([]rune(string(in))); back != want { // a conversion that replaces byte by byte
			t.Fatalf("%q comes back as %q, want %q", in, back, want)
		}
	})
}

func TestSchemaIsValid(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("s.json")
	if err != nil {
		t.Fatal(err)
	}
	for in, ok := range map[string]bool{
		`{"message":"m","payload":{"application":"a","params":{}}}`:                 true,
		`{"message":"m","payload":{"application":"a","params":{"x":1}},"y":2}`:      true,
		`{"message":1,"payload":{"application":"a","params":{}}}`:                   false,
		`{"message":"m","payload":{"params":{}}}`:                                   false,
		`{"message":"m","payload":{"application":"a","params":[]}}`:                 false,
		`{"message":"m","payload":{"application":"a","username":null,"params":{}}}`: false,
		`{"payload":{"application":"a","params":{}}}`:                               false,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Validate(v) == nil; got != ok {
			t.Errorf("%s: valid is %v", in, got)
		}
	}
}

func BenchmarkAppendJSONText(b *testing.B) {
	e := Envelope{Message: text(strings.Repeat("2026-11-23T10:00:00.000Z INFO [worker-7] ", 4)[:147]), Application: text("Pool Cars")}
	var dst []byte
	b.ReportAllocs()
	b.SetBytes(147)
	for b.Loop() {
		dst = e.AppendJSON(dst[:0])
	}
}
