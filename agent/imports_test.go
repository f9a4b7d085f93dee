package agent

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsGoOneWay holds the packages to the order of CONTRIBUTING.md.
func TestImportsGoOneWay(t *testing.T) {
	leaf := []string{"shiplog/agent", "shiplog/tailer", "shiplog/shipper", "github.com/twmb/franz-go", "github.com/fsnotify/fsnotify"}
	for pkg, banned := range map[string][]string{
		"shiplog/tailer":           {"shiplog/", "github.com/twmb/franz-go", "gopkg.in/yaml.v3"},
		"shiplog/shipper":          {"shiplog/", "github.com/fsnotify/fsnotify", "gopkg.in/yaml.v3"},
		"shiplog/agent":            {"shiplog/cmd", "github.com/spf13/cobra"},
		"shiplog/agent/config":     leaf,
		"shiplog/agent/envelope":   append(leaf, "gopkg.in/yaml.v3"),
		"shiplog/agent/checkpoint": append(leaf, "gopkg.in/yaml.v3"),
		"shiplog/agent/admin":      append(leaf, "gopkg.in/yaml.v3"),
		"shiplog/agent/transform":  {"shiplog/agent/config", "shiplog/agent/parse", "shiplog/agent/checkpoint", "shiplog/agent/admin", "shiplog/tailer", "shiplog/shipper"},
		"shiplog/agent/parse":      {"shiplog/agent/config", "shiplog/agent/checkpoint", "shiplog/agent/admin", "shiplog/tailer", "shiplog/shipper"},
	} {
		out, err := exec.Command("go", "list", "-f", `{{join .Deps "\n"}}`, pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list %s: %v\n%s", pkg, err, out)
		}
		for _, dep := range strings.Fields(string(out)) {
			for _, b := range banned {
				if strings.HasPrefix(dep, b) && dep != pkg {
					t.Errorf("%s imports %s: the data goes tailer -> agent -> shipper, and so do imports", pkg, dep)
				}
			}
		}
	}
}
