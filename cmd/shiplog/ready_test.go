package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"

	"shiplog/agent/config"
)

const readyConfigs = "../../packaging/config"

var updateReady = flag.Bool("update", false, "write the golden files of the ready configurations anew") //nolint:gochecknoglobals // a flag

// ready is a ready configuration as an operator takes it: included by his own.
type ready struct {
	name   string // iis
	main   string // path of the configuration that includes it
	config *config.Config
}

// readyOnes includes each ready configuration, with a zone that does not depend on
// where the test runs.
func readyOnes(t *testing.T) []ready {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(readyConfigs, "*.yaml"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	var all []ready
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		included := file(t, filepath.Base(path), strings.ReplaceAll(string(text), "\n    format:", "\n    timezone: Europe/Berlin\n    format:"))
		r := ready{name: strings.TrimSuffix(filepath.Base(path), ".yaml")}
		r.main = file(t, "shiplog.yaml", fmt.Sprintf("kafka: {brokers: [localhost]}\ninclude: [%q]\n", included))
		if r.config, err = config.Load(r.main, nil); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestReadyConfigurations has check accept each configuration of packaging/config,
// and reads a sample of each of its inputs: the entries are those of the golden
// file beside it.
func TestReadyConfigurations(t *testing.T) {
	samples, err := filepath.Glob("testdata/ready/*/*.log")
	if err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(t)
	for _, r := range readyOnes(t) {
		code, out, errOut := call(t, "", "check", "--config", r.main)
		if code != 0 || errOut != "" {
			t.Errorf("%s: check: exit %d\n%s%s", r.name, code, out, errOut)
		}
		for i := range r.config.Inputs {
			in := r.config.Inputs[i].Name
			sample := filepath.Join("testdata", "ready", r.name, in+".log")
			if i := slices.Index(samples, sample); i >= 0 {
				samples = slices.Delete(samples, i, i+1)
			}
			t.Run(r.name+"/"+in, func(t *testing.T) {
				code, out, errOut := call(t, "", "parse", "--config", r.main, "--input", in, sample)
				if code != 0 || !strings.Contains(errOut, " parsed, 0 not") {
					t.Fatalf("parse: exit %d\n%s%s", code, out, errOut)
				}
				for line := range strings.Lines(out) {
					validEnvelope(t, schema, line)
				}
				golden := strings.TrimSuffix(sample, ".log") + ".golden.jsonl"
				if *updateReady {
					write(t, golden, out)
				}
				want, err := os.ReadFile(golden)
				if err != nil || out != string(want) {
					t.Errorf("%s (write it anew with -update, and read the difference): %v\n got\n%s\n want\n%s", golden, err, out, want)
				}
			})
		}
	}
	if len(samples) > 0 {
		t.Errorf("no input is named as these samples are: %q", samples)
	}
}

// TestReadyPaths holds the patterns of the ready configurations, also those in comments, to
// files as the products name them.
func TestReadyPaths(t *testing.T) {
	const mssql, tomcat = `C:\Program Files\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQL\Log\`, `C:\Program Files\Apache Software Foundation\Tomcat 10.1\logs\`
	files := map[string][]string{
		"iis":             {`C:\inetpub\logs\LogFiles\W3SVC1\u_ex260302.log`},
		"httperr":         {`C:\Windows\System32\LogFiles\HTTPERR\httperr1.log`},
		"sqlserver":       {mssql + "ERRORLOG", "/var/opt/mssql/log/errorlog", "!" + mssql + "ERRORLOG.1"},
		"sqlagent":        {mssql + "SQLAGENT.OUT", "/var/opt/mssql/log/sqlagent.out"},
		"tomcat":          {"/var/log/tomcat10/catalina.2026-03-02.log", "/opt/tomcat/logs/localhost.2026-03-02.log", tomcat + "catalina.2026-03-02.log", "!/var/log/tomcat10/catalina.out"},
		"tomcat-access":   {"/var/log/tomcat10/localhost_access_log.2026-03-02.txt", "/opt/apache-tomcat-10.1.16/logs/localhost_access_log.2026-03-02.txt", tomcat + "localhost_access_log.2026-03-02.txt"},
		"log4j":           {"/opt/tomcat/logs/app.log", "/var/log/tomcat10/app.log", tomcat + "app.log", "!/var/log/tomcat10/catalina.2026-03-02.log", "!" + tomcat + "tomcat10-stdout.2026-03-02.log"},
		"log4net":         {`C:\inetpub\wwwroot\PoolCars\logs\app.log`, `!C:\inetpub\wwwroot\PoolCars\logs\app.log.1`},
		"nlog":            {`C:\inetpub\wwwroot\PoolCars\logs\2026-03-02.log`},
		"serilog":         {`C:\inetpub\wwwroot\PoolCars\logs\log20260302.txt`, `C:\inetpub\wwwroot\PoolCars\logs\log20260302_001.txt`},
		"nginx-access":    {"/var/log/nginx/access.log", "/var/log/nginx/cars.access.log", `C:\nginx\logs\access.log`, "!/var/log/nginx/access.log.1", "!/var/log/nginx/error.log"},
		"nginx-error":     {"/var/log/nginx/error.log", `C:\nginx\logs\error.log`, "!/var/log/nginx/access.log"},
		"postgresql":      {"/var/log/postgresql/postgresql-16-main.log", "/var/lib/pgsql/data/log/postgresql-Mon.log", "/var/lib/pgsql/16/data/log/postgresql-Mon.log", `C:\Program Files\PostgreSQL\16\data\log\postgresql-2026-03-02_000000.log`},
		"postgresql-json": {"/var/lib/pgsql/16/data/log/postgresql-Mon.json", `C:\Program Files\PostgreSQL\16\data\log\postgresql-2026-03-02_000000.json`},
		"mysql":           {"/var/log/mysql/error.log", "/var/log/mysqld.log", "/var/log/mariadb/mariadb.log", `C:\ProgramData\MySQL\MySQL Server 8.0\Data\CARS01.err`},
		"docker":          {"/var/lib/docker/containers/3f4e/3f4e-json.log", `C:\ProgramData\docker\containers\3f4e\3f4e-json.log`, "!/var/lib/docker/containers/3f4e/3f4e-json.log.1"},
	}
	seen := 0
	for _, r := range readyOnes(t) {
		other := otherSystems(t, filepath.Join(readyConfigs, r.name+".yaml"))
		for i := range r.config.Inputs {
			in := &r.config.Inputs[i]
			seen++
			if len(files[in.Name]) == 0 {
				t.Errorf("no file is known of the input %s of %s", in.Name, r.name)
			}
			for _, path := range files[in.Name] {
				path, no := strings.CutPrefix(path, "!")
				if got := matchesAny(append(slices.Clone(in.Paths), other[in.Name]...), path) && !matchesAny(in.Exclude, filepath.Base(slashes(path))); got == no {
					t.Errorf("%s: %s: %s is read: %v", r.name, in.Name, path, got)
				}
			}
		}
	}
	if seen != len(files) {
		t.Errorf("%d inputs, of which %d are known", seen, len(files))
	}
}

// otherSystems are the patterns in comments, by input.
func otherSystems(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all, input := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^  - name: (\S+)$`).FindStringSubmatch(strings.TrimSuffix(line, "\n")); m != nil {
			input = m[1]
		}
		paths, ok := strings.CutPrefix(line, "    # paths:")
		if !ok {
			continue
		}
		c, err := config.Decode(strings.NewReader("application: a\nkafka: {brokers: [b]}\ninputs:\n  - paths: "+paths), path, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		all[input] = append(all[input], c.Inputs[0].Paths...)
	}
	return all
}

func slashes(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// matchesAny reports whether a file is one of those that patterns mean, on
// whichever system: a pattern of Windows was made absolute here.
func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if i := strings.Index(p, "C:"); i >= 0 {
			p = p[i:]
		}
		return doublestar.MatchUnvalidated(slashes(p), slashes(path))
	})
}
