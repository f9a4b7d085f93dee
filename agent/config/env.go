package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand fills in ${VAR} and ${VAR:-default}. $${ stands for ${ itself. It
// works on a value that YAML has read already, so that a variable can never
// add structure.
func expand(s string, getenv func(string) (string, bool)) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		body, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", errors.New("${ without }; write $${ for the two characters themselves")
		}
		name, def, hasDefault := strings.Cut(body, ":-")
		if !variableName(name) {
			return "", errors.New("${…} does not name a variable; write ${NAME} or ${NAME:-default}, and $${ for the two characters themselves")
		}
		value, set := getenv(name)
		switch {
		case set && (value != "" || !hasDefault):
			b.WriteString(value)
		case hasDefault:
			b.WriteString(def)
		default:
			return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
		}
		s = rest
	}
}

func variableName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
