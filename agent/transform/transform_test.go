package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"shiplog/agent/envelope"
)

var key = []byte("0123456789abcdef0123456789abcdef")

// sample returns an envelope with values of each kind.
func sample() *envelope.Envelope {
	e := &envelope.Envelope{}
	text := func(s string) envelope.Value { return envelope.Value{Kind: envelope.Text, Bytes: []byte(s)} }
	js := func(s string) envelope.Value { return envelope.Value{Kind: envelope.JSON, Bytes: []byte(s)} }
	e.Message, e.Application, e.Username = text("order 7 failed"), js(`"Pool \u0043ars"`), text("jpowell")
	e.Params = append(e.Params,
		envelope.Member{Key: text("level"), Value: text("error")},
		envelope.Member{Key: js(`"status"`), Value: js(`503`)},
		envelope.Member{Key: js(`"a.b"`), Value: js(`"dotted"`)},
		envelope.Member{Key: js(`"user"`), Value: js(`{"name" : "x", "mail":"a@b.example","deep":{"n":[1,{"k":"v"}]}}`)},
	)
	return e
}

const sampleJSON = `{"message":"order 7 failed","payload":{"application":"Pool \u0043ars","username":"jpowell","params":{"level":"error","status":503,"a.b":"dotted","user":{"name" : "x", "mail":"a@b.example","deep":{"n":[1,{"k":"v"}]}}}}}`

func share(f float64) *float64 { return &f }

func TestSteps(t *testing.T) {
	set := func(p ...Pair) Step { return Step{Set: p} }
	for _, c := range []struct {
		name   string
		steps  []Step
		action Action
		failed string // part of it
		want   string // "" stands for the sample as it was
	}{
		{"nothing", nil, Ship, "", ""},
		{"drop", []Step{{Drop: `params.level == "error" && params.status >= 500`}}, Filtered, "", ""},
		{"drop not", []Step{{Drop: `params.status < 500`}}, Ship, "", ""},
		{"keep", []Step{{Keep: `payload.application == "Pool Cars" and message contains "order"`}}, Ship, "", ""},
		{"keep not", []Step{{Keep: `username matches "^x"`}}, Filtered, "", ""},
		{"nested in an expression", []Step{{Drop: `params.user.deep.n[1].k == "v"`}}, Filtered, "", ""},
		{"an expression that fails ships", []Step{{Drop: `params.level > 3`}, {Set: []Pair{{"username", "u"}}}}, Ship, "step 1: the expression failed", strings.Replace(sampleJSON, "jpowell", "u", 1)},
		{"a missing param is nil", []Step{{Drop: `params.nothing == nil`}}, Filtered, "", ""},
		{"set", []Step{set(Pair{"message", "m"}, Pair{"payload.operation", `o"`}, Pair{"params.level", "x"}, Pair{"params.new", "n"}, Pair{"params.user.name", "y\n"})}, Ship, "",
			`{"message":"m","payload":{"application":"Pool \u0043ars","username":"jpowell","operation":"o\"","params":{"level":"x","status":503,"a.b":"dotted","user":{"name" : "y\n", "mail":"a@b.example","deep":{"n":[1,{"k":"v"}]}},"new":"n"}}}`},
		{"set is seen by the next", []Step{set(Pair{"username", "z"}), {Drop: `username == "z"`}}, Filtered, "", strings.Replace(sampleJSON, "jpowell", "z", 1)},
		{"remove", []Step{{Remove: []string{"username", "params.a.b", "params.user.deep", "params.user.name", "params.none", "params.user.none"}}}, Ship, "",
			`{"message":"order 7 failed","payload":{"application":"Pool \u0043ars","params":{"level":"error","status":503,"user":{"mail":"a@b.example"}}}}`},
		{"remove deep", []Step{{Remove: []string{"params.user.deep.n", "params.status"}}}, Ship, "",
			`{"message":"order 7 failed","payload":{"application":"Pool \u0043ars","username":"jpowell","params":{"level":"error","a.b":"dotted","user":{"name" : "x", "mail":"a@b.example","deep":{}}}}}`},
		{"rename", []Step{{Rename: []Pair{{"params.status", "operation"}, {"params.user.name", "params.who"}, {"params.none", "username"}, {"params.level", "params.a.b"}}}}, Ship, "",
			`{"message":"order 7 failed","payload":{"application":"Pool \u0043ars","username":"jpowell","operation":"503","params":{"level":"error","a.b":"dotted","user":{"mail":"a@b.example","deep":{"n":[1,{"k":"v"}]}},"who":"x"}}}`},
		{"rename onto the message keeps what was there", []Step{{Rename: []Pair{{"params.level", "message"}}}}, Ship, "",
			`{"message":"error","payload":{"application":"Pool \u0043ars","username":"jpowell","params":{"status":503,"a.b":"dotted","user":{"name" : "x", "mail":"a@b.example","deep":{"n":[1,{"k":"v"}]}},"level":"order 7 failed"}}}`},
		{"when", []Step{{When: `params.status == 503`, Set: []Pair{{"username", "w"}}}, {When: `params.status == 1`, Set: []Pair{{"message", "no"}}}}, Ship, "", strings.Replace(sampleJSON, "jpowell", "w", 1)},
		{"when fails", []Step{{When: `params.level > 1`, Set: []Pair{{"username", "w"}}}}, Ship, "step 1", ""},
		{"redact", []Step{{Redact: &Redact{Presets: []string{"email"}, Patterns: []string{`order (\d+)`}}}}, Ship, "",
			strings.NewReplacer("a@b.example", "***", "order 7", "order ***").Replace(sampleJSON)},
		{"redact numbers and names", []Step{{Redact: &Redact{Patterns: []string{`50\d`, `^user$`, `^1$`}, With: "#"}}}, Ship, "",
			strings.NewReplacer("503", `"#"`, `"user"`, `"#"`, "[1,", `["#",`).Replace(sampleJSON)},
		{"redact one field", []Step{{Redact: &Redact{Patterns: []string{`.+`}, Fields: []string{"username", "params.user.mail"}}}}, Ship, "",
			strings.NewReplacer("jpowell", "***", "a@b.example", "***").Replace(sampleJSON)},
		{"a redaction that fails refuses", []Step{{When: `params.level > 1`, Redact: &Redact{Presets: []string{"email"}}}}, Refused, "step 1", ""},
		{"sample all", []Step{{Sample: share(1)}}, Ship, "", ""},
		{"sample none", []Step{{Sample: share(0)}}, Sampled, "", ""},
		{"limit", []Step{{Limit: &Limit{PerSecond: 0.5}}, {Limit: &Limit{PerSecond: 1, Burst: 3}}}, Ship, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain, err := New(c.steps)
			if err != nil {
				t.Fatal(err)
			}
			e := sample()
			f := chain.File(1)
			f.Begin(time.Unix(1, 0))
			r := f.Apply(e, 0)
			if r.Action != c.action || (r.Failed == "") != (c.failed == "") || !strings.Contains(r.Failed, c.failed) {
				t.Errorf("got %+v, want %d and %q", r, c.action, c.failed)
			}
			want := c.want
			if want == "" {
				want = sampleJSON
			}
			got := string(e.AppendJSON(nil))
			if got != want {
				t.Errorf("\n got  %s\n want %s", got, want)
			}
			validate(t, got)
		})
	}
}

func validate(t *testing.T, text string) {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(envelope.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("envelope.json", schema); err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if err := compiler.MustCompile("envelope.json").Validate(v); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

func TestPresets(t *testing.T) {
	for _, c := range []struct{ preset, in, want string }{
		{"card", "paid with 4111111111111111.", "paid with ***."},
		{"card", "4111-1111-1111-1111 and 3782 822463 10005", "*** and ***"},
		{"card", "4111 1111 1111 1111 25", "*** 25"},
		{"card", "5500005555555559", "***"},
		{"card", "2223003122003222", "***"},
		{"card", "4111111111111112 is mistyped", "4111111111111112 is mistyped"},
		{"card", "took 1700000000123 ms, 20261125101010123", "took 1700000000123 ms, 20261125101010123"},
		{"card", "0000000000000000", "0000000000000000"},
		{"card", "94111111111111111", "94111111111111111"},
		{"iban", "to GB82 WEST 1234 5698 7654 32, thanks", "to ***, thanks"},
		{"iban", "DE89370400440532013000", "***"},
		{"iban", "NO9386011117947", "***"},
		{"iban", "DE89370400440532013001 XDE89370400440532013000", "DE89370400440532013001 XDE89370400440532013000"},
		{"email", "from john.o'neil+x@mail.example.co.uk to <a@b.io>", "from *** to <***>"},
		{"email", "user@host, @Component", "user@host, @Component"},
		{"jwt", "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0 end", "token *** end"},
		{"bearer", `Authorization: Bearer mF_9.B5f-4.1JqM, basic dXNlcjpwYXNz=`, `Authorization: Bearer ***, basic ***`},
		{"bearer", "bearer of news", "bearer of news"},
		{"aws_key", "AKIAIOSFODNN7EXAMPLE aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "*** aws_secret_access_key=***"},
		{"password", `password=hunter2&x=1 PWD: "a b\"c", api-key='k', {"client_secret":"zz"}`, `password=***&x=1 PWD: "***", api-key='***', {"client_secret":"***"}`},
		{"password", "Server=db;User=sa;Password=p@ss;Timeout=3", "Server=db;User=sa;Password=***;Timeout=3"},
		{"password", "postgres://app:s3cret@db/x", "postgres://app:***@db/x"},
		{"password", "the password is wrong", "the password is wrong"},
	} {
		chain, err := New([]Step{{Redact: &Redact{Presets: []string{c.preset}}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(chain.RedactText(nil, []byte(c.in))); got != c.want {
			t.Errorf("%s: %q\n got  %q\n want %q", c.preset, c.in, got, c.want)
		}
	}
}

// TestKeyedHash: equal texts have equal hashes, other keys others, and the text
// itself is gone.
func TestKeyedHash(t *testing.T) {
	run := func(key []byte, user string) string {
		chain, err := New([]Step{{Hash: &Hash{Fields: []string{"username"}, Key: key}}, {Redact: &Redact{Patterns: []string{`order \d`}, HashKey: key}}})
		if err != nil {
			t.Fatal(err)
		}
		e := sample()
		e.Username.Bytes = []byte(user)
		chain.File(1).Apply(e, 0)
		return string(e.AppendJSON(nil))
	}
	a, again, other := run(key, "jpowell"), run(key, "jpowell"), run(bytes.Repeat([]byte("k"), 32), "jpowell")
	if a != again || a == other || strings.Contains(a, "jpowell") || strings.Contains(a, "order 7") {
		t.Errorf("\n%s\n%s\n%s", a, again, other)
	}
	if run(key, "someone") == a {
		t.Error("two names have one hash")
	}
}

// TestSample: the share is met, and an entry has the same fate each time.
func TestSample(t *testing.T) {
	chain, err := New([]Step{{Sample: share(0.25)}})
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for i := range int64(10_000) {
		first, second := chain.File(7).Apply(sample(), i*100), chain.File(7).Apply(sample(), i*100)
		if first != second {
			t.Fatal("an entry that is read again has another fate")
		}
		if first.Action == Ship {
			kept++
		}
	}
	if kept < 2_300 || kept > 2_700 {
		t.Errorf("kept %d of 10000, want about 2500", kept)
	}
}

func TestLimit(t *testing.T) {
	chain, err := New([]Step{{Limit: &Limit{PerSecond: 10, Burst: 20}}})
	if err != nil {
		t.Fatal(err)
	}
	f, now := chain.File(1), time.Unix(100, 0)
	count := func() (n int) {
		f.Begin(now)
		for range 100 {
			if f.Apply(sample(), 0).Action == Ship {
				n++
			}
		}
		return n
	}
	var got []int
	for _, step := range []time.Duration{0, 0, time.Second, 500 * time.Millisecond, time.Hour, -time.Hour, time.Second} {
		now = now.Add(step)
		got = append(got, count())
	}
	want := []int{20, 0, 10, 5, 20, 0, 10}
	if string(mustJSON(t, got)) != string(mustJSON(t, want)) {
		t.Errorf("got %v, want %v", got, want)
	}
	if other := chain.File(2); func() bool { other.Begin(now); return other.Apply(sample(), 0).Action != Ship }() {
		t.Error("one file's limit is another's")
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		step Step
		want string
	}{
		{Step{}, "says nothing to do"},
		{Step{Drop: "true", Keep: "true"}, "more than one"},
		{Step{Drop: "true", When: "true"}, "conditions themselves"},
		{Step{Drop: "mesage == ''"}, "mesage"},
		{Step{Keep: "message +"}, "expression"},
		{Step{Keep: "message"}, "bool"},
		{Step{When: "1", Remove: []string{"username"}}, "expression"},
		{Step{Remove: []string{"level"}}, "is no field"},
		{Step{Set: []Pair{{"payload.message", "x"}}}, "beside payload"},
		{Step{Rename: []Pair{{"params.a", "b"}}}, "is no field"},
		{Step{Redact: &Redact{}}, "name presets or patterns"},
		{Step{Redact: &Redact{Presets: []string{"cards"}}}, "none of card, iban"},
		{Step{Redact: &Redact{Patterns: []string{"("}}}, "pattern"},
		{Step{Redact: &Redact{Patterns: []string{"a*"}}}, "matches nothing at all"},
		{Step{Redact: &Redact{Presets: []string{"card"}, HashKey: []byte("short")}}, "at least 16"},
		{Step{Hash: &Hash{Key: key}}, "name the fields"},
		{Step{Hash: &Hash{Fields: []string{"username"}}}, "at least 16"},
		{Step{Sample: share(1.5)}, "between 0 and 1"},
		{Step{Limit: &Limit{}}, "above zero"},
	} {
		_, err := New([]Step{{Remove: []string{"username"}}, c.step})
		var at *StepError
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &at) || at.Index != 1 {
			t.Errorf("%+v: %v, want %q of step 2", c.step, err, c.want)
		}
	}
}

// FuzzRedact: what comes out is valid JSON, and a second time finds nothing that
// changes it.
func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"a":["x@y.io",4111111111111111,{"password":"p\u0040ss"}]}`), "password=x 4111 1111 1111 1111")
	f.Add([]byte(`[]`), "GB82 WEST 1234 5698 7654 32 eyJhbGciOi.eyJzdWIi.x")
	chain, err := New([]Step{{Redact: &Redact{Presets: Presets()}}, {Remove: []string{"params.n.a"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, nested []byte, text string) {
		if !json.Valid(nested) {
			nested = []byte(`{}`)
		}
		e := &envelope.Envelope{Message: envelope.Value{Kind: envelope.Text, Bytes: []byte(text)}}
		e.Params = append(e.Params, envelope.Member{Key: envelope.Value{Kind: envelope.JSON, Bytes: []byte(`"n"`)}, Value: envelope.Value{Kind: envelope.JSON, Bytes: bytes.TrimSpace(nested)}})
		chain.File(1).Apply(e, 0)
		out := e.AppendJSON(nil)
		if !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
		once := chain.RedactText(nil, []byte(text))
		for _, find := range []finder{findCard, findIBAN} {
			if _, _, ok := find(once, 0); ok && !bytes.Contains(once, []byte("***")) {
				t.Fatalf("left in %q", once)
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	for name, steps := range map[string][]Step{
		"set":        {{Set: []Pair{{"params.site", "north"}}}},
		"expression": {{Drop: `params.level == "debug"`}},
		"redact all": {{Redact: &Redact{Presets: Presets()}}},
		"hash":       {{Hash: &Hash{Fields: []string{"username"}, Key: key}}},
	} {
		b.Run(name, func(b *testing.B) {
			chain, err := New(steps)
			if err != nil {
				b.Fatal(err)
			}
			f, fresh := chain.File(1), sample()
			var e envelope.Envelope
			b.ReportAllocs()
			for b.Loop() {
				e.Reset()
				e.Message, e.Application, e.Username = fresh.Message, fresh.Application, fresh.Username
				e.Params = append(e.Params, fresh.Params...)
				f.Apply(&e, 0)
			}
		})
	}
}
