package agent

import "testing"

// TestRemedies names commands that the system at hand has.
func TestRemedies(t *testing.T) {
	const dir, service = `C:\app logs`, `NT SERVICE\shiplog`
	for _, c := range []struct{ got, want string }{
		{grantOn("linux", "shiplog", "rx", "/var/log/app"), "setfacl -m u:shiplog:rx /var/log/app"},
		{grantOn("linux", "it's me", "r", "/var/log/a b"), `setfacl -m u:'it'\''s me':r '/var/log/a b'`},
		{grantOn("windows", service, "r", dir+`\a.log`), `icacls "C:\app logs\a.log" /grant "NT SERVICE\shiplog:(R)"`},
		{grantOn("windows", service, "x", dir), `icacls "C:\app logs" /grant "NT SERVICE\shiplog:(RX)"`},
		{handOver("linux", "shiplog", "/var/lib/shiplog"), "chown -R shiplog /var/lib/shiplog"},
		{handOver("windows", service, dir), `icacls "C:\app logs" /grant "NT SERVICE\shiplog:(OI)(CI)M" /T`},
		{makeFolder("linux", "shiplog", "/s"), "install -d -m 0700 -o shiplog /s, as root"},
		{makeFolder("windows", "me", `C:\s`), `mkdir "C:\s" & icacls "C:\s" /grant "me:(OI)(CI)M" /T, as administrator`},
		{moreEvents("linux", "max_user_watches", 524288), "sysctl fs.inotify.max_user_watches=524288"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
