package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTimeKeys(t *testing.T) {
	c, err := decodeText(t, `application: A
inputs:
  - {name: a, paths: [/a]}
  - {name: b, paths: [/b], format: text, timezone: Europe/Berlin, date_order: day_first}
  - {name: c, paths: [/c], timezone: utc, date_order: month_first}
  - {name: d, paths: [/d], timezone: local}
kafka: {brokers: [k]}
`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ zone, order string }{{time.Local.String(), "auto"}, {"Europe/Berlin", "day_first"}, {"UTC", "month_first"}, {time.Local.String(), "auto"}} {
		if in := c.Inputs[i]; in.Timezone.String() != want.zone || in.DateOrder != want.order {
			t.Errorf("input %s: %v, %s; want %v", in.Name, in.Timezone, in.DateOrder, want)
		}
	}
}

func TestTimeKeyErrors(t *testing.T) {
	_, err := decodeText(t, `application: A
inputs:
  - {paths: [/a], timezone: Europe/Berlinn, date_order: dayfirst}
  - {name: b, paths: [/b], timezone: ../etc/passwd}
  - {name: c, paths: [/c], timezone: ""}
kafka: {brokers: [k]}
`)
	var all Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Fatal(err)
	}
	for _, want := range []string{
		`:3:29: inputs[0].timezone: "Europe/Berlinn" is not the name of a time zone`,
		`:3:57: inputs[0].date_order: "dayfirst" is none of auto, day_first, month_first (did you mean day_first?)`,
		`:4:38: inputs[1].timezone: "../etc/passwd"`, `inputs[2].timezone: "" is not`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %s", err, want)
		}
	}
}
