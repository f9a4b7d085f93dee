//go:build !windows

package agent

// usualPlaces are where logs usually are: folders, files and patterns.
func usualPlaces() []string {
	return []string{
		"/var/log", "/opt/*/log", "/opt/*/logs", "/opt/tomcat*/logs", "/srv/*/log", "/srv/*/logs", "/usr/local/*/logs",
		"/var/lib/tomcat*/logs", "/var/lib/pgsql/data/log", "/var/lib/pgsql/*/data/log", "/var/lib/docker/containers/*/*-json.log",
		"/var/opt/mssql/log/errorlog*", "/Library/Logs",
	}
}
