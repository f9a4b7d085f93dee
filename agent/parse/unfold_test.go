package parse

import (
	"testing"

	"shiplog/agent/envelope"
)

func TestUnfold(t *testing.T) {
	const entry = `{"x":[1],"message":"m\u0041","payload":{"extra":{},"params":{"b":1.50,"a":"z"},"application":"A","operation":"o"}}`
	f, err := New("auto", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var e envelope.Envelope
	if err := f.NewParser(nil).Parse([]byte(entry), &e); err != nil || e.Raw == nil {
		t.Fatalf("not taken as it stands: %v", err)
	}
	Unfold(&e)
	const want = `{"message":"m\u0041","payload":{"application":"A","operation":"o","params":{"b":1.50,"a":"z"},"extra":{}},"x":[1]}`
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
	Unfold(&e) // again is harmless
	if got := string(e.AppendJSON(nil)); got != want {
		t.Errorf("the second time: %s", got)
	}
}
