package main_test

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
)

func TestMain(m *testing.M) {
	if broker := os.Getenv(bareEnv); broker != "" {
		os.Exit(bareMain(broker))
	}
	if path := os.Getenv(profileEnv); path != "" {
		os.Exit(profileMain(path))
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) { // the default
		flag.Set("test.parallel", "8") //nolint:errcheck // it exists: these tests wait more than they work
	}
	os.Exit(m.Run())
}
