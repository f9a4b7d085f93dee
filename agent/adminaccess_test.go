package agent

import "testing"

func TestParseAdmin(t *testing.T) {
	for text, want := range map[string]string{
		"localhost:9600": "localhost:9600", "http://127.0.0.1:9600/": "127.0.0.1:9600", "https://[::1]:1": "https://[::1]:1", "https://h:9600/": "https://h:9600",
		"unix:///run/a.sock": "unix:///run/a.sock", "https://": "", "h": "", ":1": "", "http://h:x/": "", "h:1/status": "", "h:70000": "",
	} {
		a, err := ParseAdmin(text)
		if a.Address != want || (err == nil) == (want == "") {
			t.Errorf("%s: %q, %v", text, a.Address, err)
		}
	}
}
