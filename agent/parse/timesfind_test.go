package parse

import (
	"strings"
	"testing"
	"time"
)

// entries are lines as sixteen systems write them, with the text of their time.
var entries = []struct{ name, line, stamp string }{
	{"android", `03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogs opening app wtoken = AppWindowToken{9f4ef63 token=Token{a64f992}}`, "03-17 16:13:38.811"},
	{"apache", `[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties`, "Sun Dec 04 04:47:44 2005"},
	{"bgl", `- 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.675872 R02-M1-N0-C:J12-U11 RAS KERNEL INFO instruction cache parity error corrected`, "1117838570"},
	{"bgl alert", `KERNDTLB 1118536327 2005.06.11 R30-M0-N9-C:J16-U01 2005-06-11-17.32.07.581048 R30-M0-N9-C:J16-U01 RAS KERNEL FATAL data TLB error interrupt`, "1118536327"},
	{"hadoop", `2015-10-18 18:01:47,978 INFO [main] org.apache.hadoop.mapreduce.v2.app.MRAppMaster: Created MRAppMaster for application appattempt_1445144423722_0020_000001`, "2015-10-18 18:01:47,978"},
	{"hdfs", `081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating`, "081109 203615"},
	{"healthapp", `20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579`, "20171223-22:15:29:606"},
	{"healthapp short", `20171224-0:0:2:12|Step_SPUtils|30002312|setTodayTotalDetailSteps=1514038440000##7007##548365##8661##12266##27164404`, "20171224-0:0:2:12"},
	{"hpc", `134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component State Change: Component is in the unavailable state`, "1077804742"},
	{"hpc words", `460903 node-70 action start 1074119817 1 clusterAddMember (command 1902)`, "1074119817"},
	{"linux", `Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4`, "Jun 14 15:16:01"},
	{"linux, one digit", `Jul  1 00:21:28 combo su(pam_unix)[13209]: session opened for user cyrus by (uid=0)`, "Jul  1 00:21:28"},
	{"mac", `Jul  1 09:00:55 calvisitor-10-105-160-95 kernel[0]: IOThunderboltSwitch<0>(0x0)::listenerCallback - Thunderbolt HPD packet`, "Jul  1 09:00:55"},
	{"openssh", `Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 173.234.31.186`, "Dec 10 06:55:46"},
	{"openstack", `nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-38101a0b-2096 113d3a99 54fadb41 - - -] 10.11.10.1 "GET /v2/servers/detail HTTP/1.1" status: 200 len: 1893`, "2017-05-16 00:00:00.008"},
	{"proxifier", `[10.30 16:49:06] chrome.exe - proxy.example.org:5070 open through proxy proxy.example.org:5070 HTTPS`, "10.30 16:49:06"},
	{"spark", `17/06/09 20:10:40 INFO executor.CoarseGrainedExecutorBackend: Registered signal handlers for [TERM, HUP, INT]`, "17/06/09 20:10:40"},
	{"thunderbird", `- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session closed for user root`, "1131566461"},
	{"windows", `2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack v6.1.7601.23505 with Core: cbscore.dll`, "2016-09-28 04:30:30"},
	{"zookeeper", `2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]/0:0:0:0:0:0:0:0:2181:FastLeaderElection@774] - Notification time out: 3200`, "2015-07-29 17:41:44,747"},
	{"iis", `2026-01-25 10:10:10 W3SVC1 10.0.0.1 GET /default.htm - 80 - 10.0.0.2 Mozilla/5.0 200 0 0 15`, "2026-01-25 10:10:10"},
	{"sql server", `2026-01-25 10:10:10.12 spid5s      Starting up database 'master'.`, "2026-01-25 10:10:10.12"},
	{"syslog", `<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8`, "Oct 11 22:14:15"},
	{"syslog 5424", `<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 - An application event`, "2003-10-11T22:14:15.003Z"},
	{"glog", `I0317 16:13:38.811123   12345 server.go:12] listening`, "0317 16:13:38.811123"},
	{"ruby", `I, [2026-01-25T10:10:10.123456 #1234]  INFO -- prog: started`, "2026-01-25T10:10:10.123456"},
	{"level first", `INFO 2026-01-25 10:10:10 started`, "2026-01-25 10:10:10"},
	{"level in brackets first", `[ERROR] 10:10:10.123 [main] com.example.Foo - broken`, "10:10:10.123"},
	{"level and colon first", `WARNING:2026-01-25 10:10:10:low`, "2026-01-25 10:10:10"},
	{"cisco", `000123: *Jan 25 10:10:10.123: %LINK-3-UPDOWN: Interface up`, "Jan 25 10:10:10.123"},
	{"python", `2026-01-25 10:10:10,123:INFO:root:hello`, "2026-01-25 10:10:10,123"},
	{"adobe", `25.01.2026 10:10:10.123 *INFO* [main] org.apache.Foo hello`, "25.01.2026 10:10:10.123"},
}

func TestFind(t *testing.T) {
	for _, c := range entries {
		t.Run(c.name, func(t *testing.T) {
			var s sighting
			line := []byte(c.line)
			if !s.find(line) {
				t.Fatal("no time found")
			}
			if got := string(line[s.start:s.end]); got != c.stamp {
				t.Errorf("found %q, want %q", got, c.stamp)
			}
			if !s.quoted && !BeginsEntry(line) {
				t.Error("does not begin an entry")
			}
		})
	}
}

func TestBeginsEntry(t *testing.T) {
	for _, line := range []string{
		"", " 2026-01-25 10:10:10 indented", "\tat com.example.Foo.bar(Foo.java:12)", "java.lang.NullPointerException: null", "Caused by: java.io.IOException: 2026-01-25 10:10:10 late",
		"Traceback (most recent call last):", "goroutine 1 [running]:", "main.main()", "--- End of inner exception stack trace ---", "... 12 more", "}", "System.InvalidOperationException: 10:10:10",
		"com.example.FooException: 2026-01-25 10:10:10", "Backup finished at 2026-01-25 10:10:10", "order 1234567890 shipped", "started 2026-01-25 10:10:10 by bob", "ValueError: 1", "192.168.0.1", "12 files", "=====", "1234567890123456789012",
		"Suppressed: 2026-01-25 10:10:10", "x\n2026-01-25 10:10:10",
		"2026-03-02 10:15:05.471 UTC [1301] app@orders STATEMENT:  select 1", "2026-03-02 10:15:05 CET [1301]: [2-1] HINT:  x",
	} {
		if BeginsEntry([]byte(line)) {
			t.Errorf("%q begins an entry", line)
		}
	}
	for _, line := range []string{"{", `{"a":1}`, "\ufeff2026-01-25 10:10:10 first", "2026-01-25T10:10:10Z", "node7 2026-01-25 10:10:10 x", "INFO  2026-01-25 10:10:10,123 x", "[info] 10:10:10 x",
		"2026-03-02 10:15:05.471 UTC [1301] app@orders LOG:  statement: x", "2026-03-02 10:15:05.471 UTC [1301] STATEMENT: x", "2026-03-02 10:15:05 [main] HINT:  x"} {
		if !BeginsEntry([]byte(line)) {
			t.Errorf("%q does not begin an entry", line)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, c := range entries {
		f.Add([]byte(c.line))
	}
	o := at(noon, time.UTC)
	f.Fuzz(func(t *testing.T, in []byte) {
		var s sighting
		if s.find(in) && (s.start < 0 || s.end <= s.start || s.end > len(in)) {
			t.Fatalf("%q: found at %d to %d", in, s.start, s.end)
		}
		BeginsEntry(in)
		got, ok := ParseTime(in, o)
		if !ok {
			return
		}
		text := string(got.AppendRFC3339(nil))
		if strings.Contains(text, ":60") || len(got.rest) > 0 {
			return
		}
		if std, err := time.Parse(time.RFC3339Nano, text); err != nil || !std.Equal(got.Time()) {
			t.Fatalf("%q: %s is %v (%v), not %v", in, text, std, err, got.Time())
		}
	})
}

func BenchmarkTimes(b *testing.B) {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Skip(err)
	}
	for _, c := range entries {
		b.Run(c.name, func(b *testing.B) {
			o := at(noon, loc)
			r := newTimeReader(&o)
			r.begun = noon
			line := []byte(c.line)
			b.ReportAllocs()
			for b.Loop() {
				var s sighting
				if !s.find(line) {
					b.Fatal("no time")
				}
				if _, ok := r.resolve(&s.parts); !ok {
					b.Fatal("no date")
				}
			}
		})
	}
}

func BenchmarkBeginsEntry(b *testing.B) {
	for name, line := range map[string]string{
		"frame": "\tat com.example.Foo.bar(Foo.java:12)", "cause": "Caused by: java.io.IOException: broken", "exception": "java.lang.NullPointerException: null",
		"words": "the quick brown fox", "iso": "2026-01-25 10:10:10,123 INFO [main] x",
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(line)
			b.ReportAllocs()
			for b.Loop() {
				BeginsEntry(in)
			}
		})
	}
}
