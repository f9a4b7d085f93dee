package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const example = "../../config.example.yaml"

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func decodeText(t *testing.T, text string, pairs ...string) (*Config, error) {
	t.Helper()
	return Decode(strings.NewReader(text), "shiplog.yaml", env(pairs...))
}

const head = "application: A\ninputs:\n  - paths: [/l/*.log]\nkafka:\n  brokers: [k:9092]\n"

func TestSmallest(t *testing.T) {
	c, err := decodeText(t, head)
	if err != nil {
		t.Fatal(err)
	}
	in := c.Inputs[0]
	abs, _ := filepath.Abs("/l/*.log")
	if in.Name != abs || in.Application != "A" || in.Format != "auto" || in.MaxLineBytes != 1<<20 || in.RotateWait != time.Second {
		t.Errorf("input %+v", in)
	}
	if c.Kafka.Topic != "applications.central_logging" || c.Kafka.Compression != "lz4" || c.MemoryLimit != 64<<20 || c.Admin.Listen != "127.0.0.1:9600" {
		t.Errorf("config %+v", c)
	}
}

// TestAdmin: an address that others can reach is taken where they are asked who
// they are.
func TestAdmin(t *testing.T) {
	for text, c := range map[string]struct {
		want     Admin
		warnings int
	}{
		`{listen: "0.0.0.0:1", token_file: t}`:                                {Admin{Listen: "0.0.0.0:1", TokenFile: "t"}, 1}, // in clear
		`{listen: "h:1", token_file: t, tls: {cert_file: c, key_file: k}}`:    {Admin{Listen: "h:1", TokenFile: "t", TLS: AdminTLS{CertFile: "c", KeyFile: "k"}}, 0},
		`{listen: ":1", tls: {cert_file: c, key_file: k, client_ca_file: a}}`: {Admin{Listen: ":1", TLS: AdminTLS{CertFile: "c", KeyFile: "k", ClientCAFile: "a"}}, 0},
		`{listen: "localhost:1", token_file: t}`:                              {Admin{Listen: "localhost:1", TokenFile: "t"}, 0},
		`{listen: "unix:///s", token_file: t, pprof: true}`:                   {Admin{Listen: "unix:///s", TokenFile: "t", Profiles: true}, 0},
		`{listen: "", token_file: t}`:                                         {Admin{TokenFile: "t"}, 0},
	} {
		conf, err := decodeText(t, head+"admin: "+text+"\n")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if conf.Admin != c.want || len(conf.Warnings) != c.warnings {
			t.Errorf("%s: %+v, %q", text, conf.Admin, conf.Warnings)
		}
	}
}

func TestValues(t *testing.T) {
	c, err := decodeText(t, head+`  topic: ${TOPIC}
  tls: {ca_file: /ca.pem}
  sasl: {mechanism: SCRAM-SHA-512, username: u, password: "${PW}"}
memory_limit: ${MEM:-32MiB}
max_open_files: 99
log: {level: warn, format: json}
admin: {listen: ""}
state_dir: /tmp/x
`, "TOPIC", "a.b", "PW", "s3cret: [x")
	if err != nil {
		t.Fatal(err)
	}
	if c.Kafka.Topic != "a.b" || c.MemoryLimit != 32<<20 || c.MaxOpenFiles != 99 || c.Admin.Listen != "" || c.Kafka.TLS.CAFile != "/ca.pem" {
		t.Errorf("config %+v", c)
	}
	if string(c.Kafka.SASL.Password) != "s3cret: [x" {
		t.Error("the password is not what the environment says")
	}
	if s := fmt.Sprintf("%v %+v %#v %s", c.Kafka.SASL, *c.Kafka.SASL, *c.Kafka.SASL, c.Kafka.SASL.Password); strings.Contains(s, "s3cret") {
		t.Errorf("the password is printed: %s", s)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "state_dir") || !strings.HasSuffix(c.Warnings[0], " [config-doubtful]") {
		t.Errorf("warnings %q", c.Warnings)
	}
}

// TestFormatKeys reads the keys that belong to formats.
func TestFormatKeys(t *testing.T) {
	c, err := decodeText(t, `application: A
inputs:
  - {name: a, paths: [/a], format: grok, pattern: "%{X:y} ", patterns: {X: "a b"}, map: {cs-username: username}}
  - {name: b, paths: [/b], format: csv, columns: [x, y], delimiter: tab}
  - {name: c, paths: [/c], format: docker, inner: csv, delimiter: ";"}
kafka: {brokers: [k]}
`)
	if err != nil {
		t.Fatal(err)
	}
	a, b, docker := c.Inputs[0], c.Inputs[1], c.Inputs[2]
	if a.Pattern != "%{X:y} " || a.Patterns["X"] != "a b" || a.Map["cs-username"] != "username" || a.At != (Place{"shiplog.yaml", 3, 51, "inputs[0].pattern"}) {
		t.Errorf("%+v", a)
	}
	if len(b.Columns) != 2 || b.Delimiter != '\t' || docker.Inner != "csv" || docker.Delimiter != ';' {
		t.Errorf("%+v, %+v", b, docker)
	}
}

// TestErrors holds each fault against the place and the words that name it.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string // each: line:column: path: part of the text
	}{
		"empty":           {"", []string{"shiplog.yaml: is empty; the smallest"}},
		"only a comment":  {"# nothing\n", []string{"is empty"}},
		"no mapping":      {"- a\n", []string{"shiplog.yaml:1:1: a list where keys and values are needed; the smallest"}},
		"both missing":    {"log: {level: info}\n", []string{"inputs: is missing or empty", "localhost:9092\"]\nshiplog.yaml:1:1: kafka: is missing: name the brokers"}},
		"syntax":          {"application: [\n", []string{":"}},
		"two documents":   {head + "---\na: b\n", []string{"second YAML document"}},
		"unknown key":     {head + "memory_limits: 1GiB\n", []string{":6:1: memory_limits: unknown key; did you mean memory_limit?"}},
		"nested unknown":  {head + "  broker: k\n", []string{":6:3: kafka.broker: unknown key; did you mean brokers?"}},
		"twice":           {head + "application: B\n", []string{":6:1: application: is there twice, first in line 1"}},
		"wrong type":      {head + "memory_limit: [1]\n", []string{":6:15: memory_limit: a list where a size"}},
		"bad size":        {head + "memory_limit: 64 MegaBytes\n", []string{":6:15: memory_limit: \"64 MegaBytes\" is not a size"}},
		"small size":      {head + "memory_limit: 64\n", []string{":6:15: memory_limit: 64 is less than 1MiB"}},
		"small line":      {"application: A\ninputs:\n  - {paths: [/l], max_line_bytes: 1}\nkafka: {brokers: [k]}\n", []string{"max_line_bytes: 1 is not between 64 and 1GiB"}},
		"bad duration":    {head + "shutdown_timeout: 10\n", []string{"shutdown_timeout: \"10\" is not a duration"}},
		"choice":          {head + "  compression: lz5\n", []string{":6:16: kafka.compression: \"lz5\" is none of none, gzip, snappy, lz4, zstd (did you mean lz4?)"}},
		"start":           {"application: A\ninputs:\n  - paths: [/l/*.log]\n    start: begining\nkafka: {brokers: [k]}\n", []string{":4:12: inputs[0].start: \"begining\" is none of beginning, end (did you mean beginning?)"}},
		"topic":           {head + "  topic: applications:central_logging\n", []string{":6:10: kafka.topic: \"applications:central_logging\" is not a legal topic name", "did you mean applications.central_logging?"}},
		"long topic":      {head + "  topic: " + strings.Repeat("a", 250) + "\n", []string{"has 250 characters"}},
		"delivery":        {head + "  delivery: exactly-onse\n", []string{"kafka.delivery: \"exactly-onse\" is none of at-least-once, exactly-once (did you mean exactly-once?)"}},
		"checkpoints":     {head + "  delivery: exactly-once\n  exactly_once: {checkpoint_topic: applications.central_logging}\n", []string{":7:36: kafka.exactly_once.checkpoint_topic: \"applications.central_logging\" is where the lines go: name another topic"}},
		"commit interval": {head + "  exactly_once: {commit_interval: 1m}\n", []string{"kafka.exactly_once.commit_interval: 1m is not between 20ms and 5s"}},
		"timestamp":       {head + "  timestamp: evnt\n", []string{`"evnt" is none of now, event (did you mean event?)`}},
		"key":             {head + "  key: topic\n", []string{"kafka.key: \"topic\" is none of none, file, host, application"}},
		"key no text":     {head + "  key: {{.application}}\n", []string{":6:8: kafka.key: a mapping where a text is needed; a template that begins with {{ has to stand in quotes"}},
		"topics":          {head + "  max_topics: 0\n  fallback_topic: \"a b\"\n  create_topics: {partitions: 0}\n", []string{"kafka.max_topics: 0 is not between", "kafka.fallback_topic: \"a b\" is not a legal topic name", "kafka.create_topics.partitions: 0 is not between"}},
		"watchdog":        {head + "  watchdog: 15s\n", []string{":6:13: kafka.watchdog: 15s is less than 30s (30s, and twice request_timeout)"}},
		"dial timeout":    {head + "  dial_timeout: 0s\n", []string{"kafka.dial_timeout: 0s is not between"}},
		"in a row":        {head + "  dead_letter: {max_in_a_row: -1}\n", []string{"kafka.dead_letter.max_in_a_row: -1 is not between"}},
		"fallback":        {head + "  fallback_topic: x\n  dead_letter: {topic: x}\n", []string{"is the fallback topic"}},
		"dead template":   {head + "  dead_letter: {topic: \"d.{{.host}}\"}\n", []string{"a template cannot stand here"}},
		"dead letter":     {head + "  dead_letter: {topic: applications.central_logging}\n", []string{"kafka.dead_letter.topic", "name another topic"}},
		"dead letters":    {head + "  dead_letter: {max_file_bytes: 1KiB}\n", []string{"kafka.dead_letter.max_file_bytes", "1KiB is less than 64KiB"}},
		"too large":       {head + "  too_large: drop\n", []string{"kafka.too_large: \"drop\" is none of dead_letter, cut"}},
		"dead letter key": {head + "  dead_letter: {max_bytes: 1GiB}\n", []string{"unknown key"}},
		"multiline":       {"application: A\ninputs:\n  - {paths: [/l], multiline: jaba}\nkafka: {brokers: [k]}\n", []string{":3:30: inputs[0].multiline: \"jaba\" is none of auto, none, java", "did you mean java?"}},
		"bad pattern":     {"application: A\ninputs:\n  - {paths: [/l], multiline: {start: \"(\"}}\nkafka: {brokers: [k]}\n", []string{":3:38: inputs[0].multiline.start: error parsing regexp"}},
		"preset, pattern": {"application: A\ninputs:\n  - {paths: [/l], multiline: {start: x, preset: java}}\nkafka: {brokers: [k]}\n", []string{"give preset, or patterns"}},
		"big entries":     {"application: A\ninputs:\n  - {paths: [/l], multiline: {max_bytes: 64MiB}}\nkafka: {brokers: [k]}\n", []string{"inputs[0].multiline.max_bytes: 67108864 bytes are more than half"}},
		"pin":             {"application: A\ninputs:\n  - {paths: [/l], pin: maybe}\nkafka: {brokers: [k]}\n", []string{"inputs[0].pin: \"maybe\""}},
		"pins":            {"application: A\ninputs:\n  - {paths: [/l]}\nkafka: {brokers: [k]}\npins: {quota: much}\n", []string{":5:15: pins.quota: \"much\""}},
		"format":          {"application: A\ninputs:\n  - {paths: [/l], format: sylog}\nkafka: {brokers: [k]}\n", []string{"\"sylog\" is none of", "did you mean syslog?"}},
		"no pattern":      {"application: A\ninputs:\n  - {paths: [/l], format: regex}\nkafka: {brokers: [k]}\n", []string{":3:5: inputs[0].pattern: is missing"}},
		"pattern of json": {"application: A\ninputs:\n  - {paths: [/l], format: json, pattern: x}\nkafka: {brokers: [k]}\n", []string{":3:42: inputs[0].pattern: belongs to the format regex or grok; this input's is json"}},
		"columns of auto": {"application: A\ninputs:\n  - {paths: [/l], columns: [a, a]}\nkafka: {brokers: [k]}\n", []string{"inputs[0].columns[1]: \"a\" is there twice", "inputs[0].columns: belongs to the format csv"}},
		"delimiter":       {"application: A\ninputs:\n  - {paths: [/l], format: csv, delimiter: ab}\nkafka: {brokers: [k]}\n", []string{":3:43: inputs[0].delimiter: \"ab\" is not one character"}},
		"inner":           {"application: A\ninputs:\n  - {paths: [/l], format: cri, inner: docker}\nkafka: {brokers: [k]}\n", []string{":3:39: inputs[0].inner: \"docker\" is none of"}},
		"map":             {"application: A\ninputs:\n  - {paths: [/l], map: [a]}\nkafka: {brokers: [k]}\n", []string{":3:24: inputs[0].map: a list where names and texts are needed"}},
		"map to nothing":  {"application: A\ninputs:\n  - {paths: [/l], map: {a: \"\"}}\nkafka: {brokers: [k]}\n", []string{"inputs[0].map.a: is empty"}},
		"no application":  {"inputs:\n  - paths: [/l]\nkafka: {brokers: [k]}\n", []string{":2:5: inputs[0].application: is missing"}},
		"no inputs":       {"application: A\nkafka: {brokers: [k]}\n", []string{"inputs: is missing or empty"}},
		"no paths":        {"application: A\ninputs:\n  - name: x\nkafka: {brokers: [k]}\n", []string{":3:5: inputs[0].paths: is missing"}},
		"no kafka":        {"application: A\ninputs:\n  - paths: [/l]\n", []string{"kafka: is missing"}},
		"no brokers":      {"application: A\ninputs:\n  - paths: [/l]\nkafka: {topic: x}\n", []string{"kafka.brokers: is missing"}},
		"brokers in one":  {"application: A\ninputs:\n  - paths: [/l]\nkafka: {brokers: \"a:1,b:2\"}\n", []string{"several brokers are a list"}},
		"scheme":          {"application: A\ninputs:\n  - paths: [/l]\nkafka: {brokers: \"kafka://a:1\"}\n", []string{"without a scheme"}},
		"pattern":         {"application: A\ninputs:\n  - paths: [\"/l/[a\"]\nkafka: {brokers: [k]}\n", []string{":3:13: inputs[0].paths[0]: \"/l/[a\" is not a valid pattern"}},
		"names":           {"application: A\ninputs:\n  - {name: x, paths: [/l]}\n  - {name: x, paths: [/m]}\nkafka: {brokers: [k]}\n", []string{":4:5: inputs[1].name: \"x\" is the name of the input in shiplog.yaml:3"}},
		"line over limit": {"application: A\ninputs:\n  - {paths: [/l], max_line_bytes: 64MiB}\nkafka: {brokers: [k]}\n", []string{"more than half of memory_limit"}},
		"variable":        {head + "state_dir: ${NOWHERE}\n", []string{":6:12: state_dir: the environment variable NOWHERE is not set"}},
		"open variable":   {head + "state_dir: \"${NOWHERE\"\n", []string{"${ without }"}},
		"admin":           {head + "admin: {listen: \"0.0.0.0:9600\"}\n", []string{"admin.listen: \"0.0.0.0:9600\" can be reached from other hosts"}},
		"admin by TLS":    {head + "admin: {listen: \":9600\", tls: {cert_file: c, key_file: k}}\n", []string{"admin.listen: \":9600\" can be reached from other hosts: have them show who they are, by token_file: FILE"}},
		"half a TLS":      {head + "admin: {tls: {client_ca_file: c}}\n", []string{"admin.tls: cert_file and key_file are needed"}},
		"TLS in a socket": {head + "admin: {listen: \"unix:///s\", tls: {cert_file: c, key_file: k}}\n", []string{"admin.tls: a unix socket needs none"}},
		"no port":         {head + "admin: {listen: \"0.0.0.0\", token_file: t}\n", []string{"admin.listen: \"0.0.0.0\" is not an address"}},
		"sasl":            {head + "  sasl: {mechanism: PLAIN, username: u}\n", []string{"kafka.sasl: give the password"}},
		"sasl mechanism":  {head + "  sasl: {mechanism: SCRAM-SHA512, username: u, password_file: p}\n", []string{"did you mean SCRAM-SHA-512?"}},
		"no mechanism":    {head + "  sasl: {username: u}\n", []string{"kafka.sasl: mechanism is missing"}},
		"oauth":           {head + "  sasl: {mechanism: OAUTHBEARER, oauth: {client_id: c, client_secret_file: f}}\n", []string{"kafka.sasl.oauth: token_endpoint and client_id are needed"}},
		"oauth secret":    {head + "  sasl: {mechanism: OAUTHBEARER, oauth: {token_endpoint: \"https://a/b\", client_id: c}}\n", []string{"give the client's secret by client_secret_file"}},
		"oauth account":   {head + "  sasl: {mechanism: OAUTHBEARER, username: u}\n", []string{"OAUTHBEARER takes no user name"}},
		"oauth of scram":  {head + "  sasl: {mechanism: SCRAM-SHA-512, username: u, password_file: f, oauth: {}}\n", []string{":6:74: kafka.sasl.oauth: belongs to the mechanism OAUTHBEARER"}},
		"endpoint":        {head + "  sasl: {mechanism: OAUTHBEARER, oauth: {token_endpoint: login, client_id: c, client_secret_file: f}}\n", []string{"token_endpoint: is not a URL"}},
		"endpoint login":  {head + "  sasl: {mechanism: OAUTHBEARER, oauth: {token_endpoint: \"https://a:b@c/\", client_id: c, client_secret_file: f}}\n", []string{"token_endpoint: holds a user"}},
		"extension":       {head + "  sasl: {mechanism: OAUTHBEARER, oauth: {extensions: {auth: x, b-c: y}}}\n", []string{"extensions.auth: is no extension", "extensions.b-c: is no"}},
		"gssapi":          {head + "  sasl: {mechanism: GSSAPI, username: u}\n", []string{"give kerberos.keytab_file, password_file or password: one of the three"}},
		"keytab too":      {head + "  sasl: {mechanism: GSSAPI, username: u, password_file: f, kerberos: {keytab_file: k}}\n", []string{"one of the three"}},
		"kerberos of aws": {head + "  sasl: {mechanism: AWS_MSK_IAM, kerberos: {}}\n", []string{"belongs to the mechanism GSSAPI"}},
		"aws":             {head + "  sasl: {mechanism: AWS_MSK_IAM, username: u, password_file: f}\n", []string{"AWS_MSK_IAM takes no user name"}},
		"broker login":    {"application: A\ninputs:\n  - paths: [/l]\nkafka: {brokers: \"u:p@a:1\"}\n", []string{"kafka.brokers: holds a user or password"}},
		"key file alone":  {head + "  tls: {key_file: k}\n", []string{"cert_file and key_file belong together"}},
		"merge":           {"x: &a {}\n" + head + "<<: *a\n", []string{"unknown key", "merge keys"}},
		"several at once": {"aplication: A\ninputs:\n  - paths: [/l]\n    formt: raw\nkafka: {brokers: []}\n", []string{":1:1: aplication: unknown key; did you mean application?", ":4:5: inputs[0].formt: unknown key; did you mean format?", "kafka.brokers: is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeText(t, c.text)
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("no error of our own: %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error does not say %q:\n%v", w, err)
				}
			}
			for i := 1; i < len(all); i++ {
				if all[i].Line < all[i-1].Line {
					t.Errorf("errors are not in the order of the file:\n%v", err)
				}
			}
		})
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	for _, sasl := range []string{"{mechanism: NO, username: u, password: hunter2, password_file: /x}", "{password: \"a${hun ter2}b\"}", "{password: *hunter2}", "{password: \"${hunter2\"}", "{password:hunter2}", "{mechanism: OAUTHBEARER, oauth: {client_secret:hunter2, client_secrt: hunter2}}"} {
		_, err := decodeText(t, head+"  sasl: "+sasl+"\n")
		if err == nil || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: error: %v", sasl, err)
		}
	}
}

func TestSASLKeys(t *testing.T) {
	c, err := decodeText(t, head+`  sasl:
    mechanism: OAUTHBEARER
    oauth: {token_endpoint: "https://l/t", client_id: c, client_secret: "${S}", scope: a b, audience: x, ca_file: f, extensions: {logicalCluster: lkc-1}}
`, "S", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	o := c.Kafka.SASL.OAuth
	if o.TokenEndpoint != "https://l/t" || o.ClientID != "c" || string(o.ClientSecret) != "s3cret" || o.Scope != "a b" || o.Audience != "x" || o.CAFile != "f" || o.Extensions["logicalCluster"] != "lkc-1" {
		t.Errorf("%+v", o)
	}
	if s := fmt.Sprintf("%+v %#v", *c.Kafka.SASL, *c.Kafka.SASL); strings.Contains(s, "s3cret") {
		t.Errorf("the secret is printed: %s", s)
	}
	c, err = decodeText(t, head+"  sasl: {mechanism: GSSAPI, username: u@R, kerberos: {keytab_file: k, service: s, realm: R, krb5_conf: f, fast: false}}\n")
	if err != nil || c.Kafka.SASL.Kerberos != (Kerberos{"k", "s", "R", "f", false}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = decodeText(t, head+"  sasl: {mechanism: AWS_MSK_IAM}\n"); err != nil || c.Kafka.SASL.Mechanism != AWSMSKIAM || !c.Kafka.SASL.Kerberos.FAST {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = decodeText(t, head+"  sasl: {mechanism: PLAIN, username: u, password: p}\n")
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "password_file or ${VAR} keeps it out") {
		t.Errorf("%v, %v", c, err)
	}
}

func TestPasswordKeepsItsBlanks(t *testing.T) {
	c, err := decodeText(t, head+"  sasl: {mechanism: PLAIN, username: u, password: \" a b \"}\n")
	if err != nil || string(c.Kafka.SASL.Password) != " a b " {
		t.Errorf("%v", err)
	}
}

// TestManyErrorsAndAliases are files that cost far more than their size, if
// nothing bounds them.
func TestManyErrorsAndAliases(t *testing.T) {
	_, err := decodeText(t, "application: A\nkafka: {brokers: [k]}\ninputs:\n"+strings.Repeat("- {}\n", 20_000))
	var all Errors
	if !errors.As(err, &all) || len(all) != maxErrors {
		t.Errorf("%d errors", len(all))
	}
	paths := "[" + strings.Repeat("/l,", 3000) + "/l]"
	_, err = decodeText(t, "application: A\nkafka: {brokers: [k]}\ninputs:\n- paths: &p "+paths+"\n"+strings.Repeat("- paths: *p\n", 3000))
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("error: %.300v", err)
	}
}

func TestExcludeByNameAlone(t *testing.T) {
	c, err := decodeText(t, strings.Replace(head, "[/l/*.log]", "[/l/*.log]\n    exclude: [debug.log, /l/x.log]", 1))
	if err != nil || c.Inputs[0].Exclude[0] != "**/debug.log" || c.Inputs[0].Exclude[1] != "/l/x.log" {
		t.Errorf("%v, %v", c, err)
	}
}

// TestSmallMemoryLimit has a limit that the default line length does not fit.
func TestSmallMemoryLimit(t *testing.T) {
	c, err := decodeText(t, head+"memory_limit: 1MiB\n")
	if err != nil || c.Inputs[0].MaxLineBytes != 1<<19 {
		t.Errorf("%v, %v", c, err)
	}
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(dir, "shiplog.yaml")
	write("shiplog.yaml", head+"include: [\"*.inc\", \"none*.x\"]\n")
	write("b.inc", "inputs:\n  - {name: b, paths: [/b]}\n")
	write("a.inc", "inputs:\n  - {name: a, paths: [/a]}\n")
	c, err := Load(main, env())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Inputs) != 3 || c.Inputs[1].Name != "a" || c.Inputs[2].Name != "b" {
		t.Errorf("inputs %+v", c.Inputs)
	}
	write("a.inc", "kafka: {}\n")
	if _, err = Load(main, env()); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "a.inc")+":1:1: kafka: unknown key") {
		t.Errorf("error %v", err)
	}
	write("shiplog.yaml", head+"include: gone.yaml\n")
	if _, err = Load(main, env()); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("error %v", err)
	}
	if _, err = Load(filepath.Join(dir, "nowhere"), env()); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("error %v", err)
	}
}

func TestExpand(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "${A}": "1", "x${A}y${B:-2}": "x1y2", "$${A}": "${A}", "${E:-d}": "d", "$A": "$A", "a$${b}${A}": "a${b}1",
	} {
		if got, err := expand(in, env("A", "1", "E", "")); err != nil || got != want {
			t.Errorf("expand(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// TestExampleIsComplete fails when the example does not load, or when a key that
// the decoder knows is not in it.
func TestExampleIsComplete(t *testing.T) {
	if _, err := Load(example, env()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	known := knownKeys(t)
	if len(known) < 40 {
		t.Fatalf("only %d keys were found: %v", len(known), known)
	}
	for _, k := range known {
		if !regexp.MustCompile(`(?m)^[#\s{-]*(.*[{,]\s*)?` + regexp.QuoteMeta(k) + `:`).Match(text) {
			t.Errorf("the example does not show %s", k)
		}
	}
}

// knownKeys asks the decoder itself: each "here can be" of an unknown key names
// all that can be there.
func knownKeys(t *testing.T) []string {
	t.Helper()
	const none = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq: 1"
	_, err := decodeText(t, none+"\ninputs:\n  - "+none+"\nkafka:\n  "+none+"\n  tls: {"+none+"}\n  sasl: {"+none+", oauth: {"+none+"}, kerberos: {"+none+"}}\nadmin: {"+none+"}\nlog: {"+none+"}\n")
	var keys []string
	for _, m := range regexp.MustCompile(`here can be: (.*)`).FindAllStringSubmatch(err.Error(), -1) {
		keys = append(keys, strings.Split(m[1], ", ")...)
	}
	return keys
}

func FuzzDecode(f *testing.F) {
	f.Add(head)
	f.Add("a: &a [*a]\n")
	f.Add("inputs: [[[[{}]]]]\nkafka: {tls: {x: *y}}")
	if text, err := os.ReadFile(example); err == nil {
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			return // no files but the one
		}
		_, err := Decode(strings.NewReader(text), "x", env())
		var all Errors
		if err != nil && !errors.As(err, &all) {
			t.Fatalf("an error without a place: %v", err)
		}
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + 2
		for _, e := range all {
			if e.Line > lines || e.Line < 0 {
				t.Errorf("line %d of %d: %v", e.Line, lines, e)
			}
		}
	})
}

func TestLoadKafka(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kafka.yaml")
	for text, want := range map[string]string{
		"kafka: {brokers: [k:1], topic: t}\n": "",
		head:                                  "",
		"topic: t\n":                          "unknown key",
		"application: A\n":                    "kafka: is missing",
		"kafka: {brokers: [k:1]}\ninputs: [{paths: [/l], x: y}]\n": "inputs[0].x: unknown key",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadKafka(path, env())
		if want == "" && (err != nil || len(c.Kafka.Brokers) != 1) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
