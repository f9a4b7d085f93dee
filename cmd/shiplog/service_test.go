package main

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
)

func TestServiceIsForWindows(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there it is something else")
	}
	for _, args := range [][]string{{"service"}, {"service", "install"}, {"service", "status"}} {
		var out, errOut bytes.Buffer
		if code := run(t.Context(), args, strings.NewReader(""), &out, &errOut); code != exitUsage || !strings.Contains(errOut.String(), "is for Windows") {
			t.Errorf("%v: %d %s", args, code, errOut.String())
		}
	}
}
