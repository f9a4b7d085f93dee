package agent

import "testing"

func TestValueFilter(t *testing.T) {
	const (
		one   = `{"message":"hello","payload":{"application":"A","username":"u","params":{"level":"error","n":7}}}`
		loose = `{message: 'hello', payload: {application: A, params: {level: error}}}`
	)
	for _, c := range []struct {
		expression, value string
		want, fails       bool
	}{
		{`params.level == "error"`, one, true, false},
		{`params.level == "error"`, loose, true, false},
		{`params.level == "error" && username == "x"`, one, false, false},
		{`message contains "ell" && payload.params.n > 6`, one, true, false},
		{`params.n > 6`, loose, false, true}, // it has no n
		{`true`, "no envelope", false, false},
		{`true`, "", false, false},
	} {
		f, err := NewValueFilter(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := f.Keep([]byte(c.value)); got != c.want || (err != nil) != c.fails {
				t.Errorf("%s of %s: %v, %v", c.expression, c.value, got, err)
			}
		}
	}
	if _, err := NewValueFilter("params.level ="); err == nil {
		t.Error("half an expression is taken")
	}
}
