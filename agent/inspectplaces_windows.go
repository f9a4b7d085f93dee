package agent

import (
	"os"
	"path/filepath"
)

// usualPlaces are where logs usually are: folders, files and patterns.
func usualPlaces() []string {
	drive, programs, data := os.Getenv("SystemDrive")+`\`, os.Getenv("ProgramFiles"), os.Getenv("ProgramData")
	return []string{
		filepath.Join(drive, "inetpub", "logs", "LogFiles"),
		filepath.Join(programs, "Microsoft SQL Server", "MSSQL*", "MSSQL", "Log", "ERRORLOG*"),
		filepath.Join(programs, "Microsoft SQL Server", "MSSQL*", "MSSQL", "Log", "SQLAGENT*"),
		filepath.Join(programs, "Apache Software Foundation", "Tomcat*", "logs"),
		filepath.Join(programs, "PostgreSQL", "*", "data", "log"),
		filepath.Join(drive, "nginx*", "logs"), filepath.Join(drive, "Apache24", "logs"),
		filepath.Join(data, "*", "logs"), filepath.Join(drive, "logs"),
	}
}
