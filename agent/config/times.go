package config

import (
	"strings"
	"time"
	_ "time/tzdata" // for hosts without a database of zones: Windows, small containers

	"gopkg.in/yaml.v3"
)

// timezone takes the name of a zone in the IANA database, UTC, or local.
func (d *decoder) timezone(to **time.Location) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "the name of a time zone, such as Europe/Berlin")
		if !ok {
			return
		}
		switch {
		case strings.EqualFold(s, "local"):
			*to = time.Local
			return
		case strings.EqualFold(s, "utc"):
			*to = time.UTC
			return
		}
		loc, err := time.LoadLocation(s)
		if err != nil || s == "" {
			d.fail(n, path, "%q is not the name of a time zone; write local, UTC, or one of the IANA database, such as Europe/Berlin or America/New_York", s)
			return
		}
		*to = loc
	}
}
