package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"shiplog/agent/envelope"
)

// schemaOf is the published schema of envelopes.
func schemaOf(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(envelope.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("envelope.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("envelope.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// message is one line that parse prints.
type message struct {
	Message string
	Payload struct {
		Params map[string]any
	}
}

// parsed runs parse, and holds each line that it prints to the schema.
func parsed(t *testing.T, schema *jsonschema.Schema, args ...string) []message {
	t.Helper()
	code, out, errOut := call(t, "", append([]string{"parse", "--timezone", "UTC"}, args...)...)
	if code != 0 {
		t.Fatalf("%q: exit %d, %s", args, code, errOut)
	}
	var all []message
	for line := range strings.Lines(out) {
		all = append(all, validEnvelope(t, schema, line))
	}
	return all
}

// validEnvelope reads one line that parse printed, and holds it to the schema.
func validEnvelope(t *testing.T, schema *jsonschema.Schema, line string) message {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err == nil {
		err = schema.Validate(doc)
	}
	var m message
	if err == nil {
		err = json.Unmarshal([]byte(line), &m)
	}
	if err != nil || m.Message == "" {
		t.Errorf("%s: %v", line, err)
	}
	return m
}

const parseData = "../../agent/parse/testdata"

// TestSystems reads sixteen logs of other systems without being told what they
// are. Lines that go on with an entry are few and known.
func TestSystems(t *testing.T) {
	schema := schemaOf(t)
	for _, c := range []struct {
		name      string
		continued int // lines that go on with the one before
		at        int // the entry that is looked at
		level     string
		timestamp string // how it begins, or ends where the year is missing
		message   string
	}{
		{"android", 0, 14, "error", "-17T16:13:42.012Z", "hw_get_module_by_class: no module"},
		{"apache", 0, 1, "error", "2005-12-04T04:47:44Z", "mod_jk child workerEnv in error state 6"},
		{"bgl", 0, 8, "fatal", "2005-06-04T07:24:32Z", "ciod: failed to read message prefix on control stream (CioStream socket to 172.16.96.116:33569"},
		{"hadoop", 4, 12, "warn", "2015-10-18T18:04:40.441Z", "no token"},
		{"hdfs", 0, 6, "info", "2008-11-09T20:36:15Z", "PacketResponder 1 for block blk_38865049064139660 terminating"},
		{"healthapp", 0, 0, "", "2017-12-23T22:15:29.606Z", "onStandStepChanged 3579"},
		{"hpc", 0, 0, "", "2004-02-26T14:12:22Z", `1 Component State Change: Component \042alt0\042 is in the unavailable state (HWID=1973)`},
		{"linux", 0, 1, "", "-14T15:16:02Z", "check pass; user unknown"},
		{"mac", 1, 1, "", "-01T09:01:05Z", "Thermal pressure state: 1 Memory pressure state: 0"},
		{"openssh", 0, 1, "", "-10T06:55:46Z", "Invalid user webmaster from 173.234.31.186"},
		{"openstack", 0, 16, "error", "2017-05-16T00:00:22.130Z", "Error during ComputeManager.update_available_resource"},
		{"proxifier", 0, 0, "", "-30T16:49:06Z", "proxy.cse.cuhk.edu.hk:5070 open through proxy proxy.cse.cuhk.edu.hk:5070 HTTPS"},
		{"spark", 0, 3, "info", "2017-06-09T20:10:41Z", "Slf4jLogger started"},
		{"thunderbird", 0, 15, "", "2005-11-09T", "clock is now synced"},
		{"windows", 1, 3, "info", "2016-09-28T04:30:31Z", "Ending TrustedInstaller initialization."},
		{"zookeeper", 3, 15, "error", "2015-07-29T19:29:24.016Z", "Unexpected Exception: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(parseData, "systems", c.name+".txt")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte("\n"))
			got := parsed(t, schema, "--format", "auto", path)
			if len(got) != lines-c.continued {
				t.Fatalf("%d entries of %d lines, of which %d go on with one", len(got), lines, c.continued)
			}
			alone, timed := parsed(t, schema, "--format", "auto", "--multiline", "none", path), 0
			for _, m := range alone {
				if _, ok := m.Payload.Params["timestamp"]; ok {
					timed++
				}
			}
			if len(alone) != lines || 100*timed < 95*(lines-c.continued) {
				t.Errorf("%d of %d lines have a time", timed, lines)
			}
			m := got[c.at]
			level, _ := m.Payload.Params["level"].(string)
			timestamp, _ := m.Payload.Params["timestamp"].(string)
			if level != c.level || m.Message != c.message || !strings.HasPrefix(timestamp, c.timestamp) && !strings.HasSuffix(timestamp, c.timestamp) {
				t.Errorf("%+v, want %q at %s: %s", m, c.level, c.timestamp, c.message)
			}
		})
	}
}

// TestGoldenFormats prints, of the samples of each format, envelopes of the
// published schema.
func TestGoldenFormats(t *testing.T) {
	schema := schemaOf(t)
	samples, err := filepath.Glob(filepath.Join(parseData, "*", "*.log"))
	if err != nil || len(samples) < 25 {
		t.Fatal(len(samples), err)
	}
	for _, path := range samples {
		args := []string{"--format", filepath.Base(filepath.Dir(path))}
		switch args[1] {
		case "regex":
			args = append(args, "--pattern", `(?P<message>.*)`)
		case "grok":
			args = append(args, "--pattern", "%{GREEDYDATA:message}")
		}
		if len(parsed(t, schema, append(args, path)...)) == 0 {
			t.Errorf("%s: nothing", path)
		}
		if len(parsed(t, schema, path)) == 0 {
			t.Errorf("%s as auto: nothing", path)
		}
	}
}
