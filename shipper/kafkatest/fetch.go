package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// pomTemplate asks Maven for Kafka and for what prints its log. The binding has
// to be the one for slf4j 1.x, which Kafka's own jars bring along.
const pomTemplate = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>shiplog</groupId>
  <artifactId>kafkatest</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>%s</version>
    </dependency>
    <dependency>
      <groupId>%s</groupId>
      <artifactId>%s</artifactId>
      <version>%s</version>
    </dependency>
  </dependencies>
</project>
`

// fetchTimeout bounds a download: 50 MB over a slow line.
const fetchTimeout = 10 * time.Minute

// fetchKafka returns the folder with the jars of a Kafka version.
func fetchKafka(ctx context.Context, version string) (string, error) {
	return cached(ctx, version, func(ctx context.Context, dir string) error {
		mvn, err := program("mvn", "install Maven, e.g. apt-get install maven")
		if err != nil {
			return err
		}
		group, artifact, release := logBinding(version)
		pom := filepath.Join(dir, "pom.xml")
		if err := os.WriteFile(pom, fmt.Appendf(nil, pomTemplate, version, group, artifact, release), 0o600); err != nil {
			return err
		}
		return run(ctx, exec.Command(mvn, "-q", "-B", "-Dstyle.color=never", "-f", pom,
			"dependency:copy-dependencies", "-DoutputDirectory="+dir, "-DincludeScope=runtime"))
	})
}

// cached returns the folder of that name in the cache, which fill fills when it
// is not there yet. Test processes that want the same one at once wait for the
// first of them; a folder is there as a whole or not at all.
func cached(ctx context.Context, name string, fill func(ctx context.Context, dir string) error) (string, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w", err)
	}
	root := filepath.Join(user, "shiplog-kafkatest")
	dir := filepath.Join(root, name)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", fmt.Errorf("lock cache: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	temp, err := os.MkdirTemp(root, name+".part-")
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	defer os.RemoveAll(temp) // nothing is left of it after the rename
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if err := fill(ctx, temp); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return dir, os.Rename(temp, dir)
}

// lock takes the lock file at path, waiting for whoever has it. A process that
// ends gives its locks back.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// program finds an executable.
func program(name, remedy string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &missingError{name, remedy}
	}
	return path, nil
}

// run runs cmd and puts the end of its output into the error.
func run(ctx context.Context, cmd *exec.Cmd) error {
	out, err := child.Run(ctx, cmd)
	if err != nil {
		return fmt.Errorf("%w; it said:\n%s", err, tail(out))
	}
	return nil
}

// tail returns the last lines of a program's output.
func tail(out []byte) string {
	const maxLines = 40
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-maxLines):], "\n")
}
