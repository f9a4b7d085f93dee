package transform

import (
	"strings"
	"testing"

	"shiplog/agent/envelope"
)

func templated(t *testing.T, text string) (string, bool) {
	t.Helper()
	tpl, err := ParseTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	js := func(s string) envelope.Value { return envelope.Value{Kind: envelope.JSON, Bytes: []byte(s)} }
	e := &envelope.Envelope{
		Application: envelope.Value{Kind: envelope.Text, Bytes: []byte("Pool Cars")}, Username: js(`"jp\u00f6well"`), Operation: js("null"),
		Params: []envelope.Member{
			{Key: js(`"tenant-id"`), Value: js(`"T9"`)}, {Key: js(`"n"`), Value: js("7")}, {Key: js(`"at"`), Value: js(`{"site":"North"}`)},
		},
	}
	out, found := tpl.Append([]byte("> "), e, &Origin{Host: []byte("h1"), Path: []byte("/var/log/a.log"), Input: []byte("in")}, "?")
	return string(out[2:]), found
}

func TestTemplate(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                                     "plain",
		"applications.{{.application}}":             "applications.Pool Cars",
		"{{.application | lower}}-x":                "pool cars-x",
		"{{ .username }}/{{.operation}}":            "jpöwell/?",
		`{{.operation | default "none"}}`:           "none",
		`{{.params.nothing | default "d" | lower}}`: "d",
		`{{index .params "tenant-id" | lower}}`:     "t9",
		"{{.params.n}}{{.params.at.site}}":          "7North",
		"{{.payload.params.at.site}}":               "North",
		"{{.host}} {{.path}} {{.file}} {{.input}}":  "h1 /var/log/a.log a.log in",
		"a{{/* a comment */}}b":                     "ab",
		"a {{- .host -}} b":                         "ah1b",
	} {
		if got, _ := templated(t, text); got != want {
			t.Errorf("%s makes %q, want %q", text, got, want)
		}
	}
	if _, found := templated(t, "x{{.operation}}{{.params.nothing}}"); found {
		t.Error("a field was found, though none is there")
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{{":                            "not a template",
		"{{.nothing}}":                  `".nothing" is no field`,
		"{{.params}}":                   "is no field",
		"{{application}}":               "write a field",
		"{{.host | upper}}":             "is not known",
		"{{.host | default .path}}":     "is not known",
		"{{if .host}}a{{end}}":          "texts and fields only",
		"{{$x := .host}}":               "no variables",
		`{{index .host "x"}}`:           "write a field",
		`{{template "x"}}`:              "texts and fields only",
		"{{range .params}}{{.}}{{end}}": "texts and fields only",
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("applications.{{.application | lower}}")
	f.Add(`{{index .params "a" | default "x"}}{{.host}}`)
	f.Add("{{define \"x\"}}{{end}}{{break}}")
	f.Fuzz(func(t *testing.T, text string) {
		tpl, err := ParseTemplate(text)
		if err != nil {
			return
		}
		tpl.Append(nil, &envelope.Envelope{}, &Origin{}, "?")
	})
}
