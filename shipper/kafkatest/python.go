package kafkatest

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// confluentKafka is the package that wraps librdkafka for Python.
const confluentKafka = "confluent-kafka==2.16.1"

// consumeScript prints each record of a topic as "partition offset value".
//
//go:embed consume.py
var consumeScript string

// consumerGrace is how long the consumer may take to end.
const consumerGrace = 5 * time.Second

// Python returns the path of a Python that can import confluent_kafka, made once
// in the user's cache folder. The test is skipped, or fails, as Start says.
func Python(tb testing.TB) string {
	tb.Helper()
	gate(tb)
	path, err := fetchPython(tb.Context())
	if err != nil {
		giveUp(tb, err)
	}
	return path
}

// fetchPython returns a Python in a virtual environment with confluentKafka.
func fetchPython(ctx context.Context) (string, error) {
	const remedy = "install Python 3 with its venv module, e.g. apt-get install python3-venv"
	python, err := program("python3", remedy)
	if err != nil {
		return "", err
	}
	inside := filepath.Join("bin", "python")
	if runtime.GOOS == "windows" {
		inside = filepath.Join("Scripts", "python.exe")
	}
	dir, err := cached(ctx, "python-"+confluentKafka, func(ctx context.Context, dir string) error {
		if err := run(ctx, exec.Command(python, "-c", "import venv, ensurepip")); err != nil {
			return &missingError{"python3 venv", remedy}
		}
		if err := run(ctx, exec.Command(python, "-m", "venv", dir)); err != nil {
			return err
		}
		return run(ctx, exec.Command(filepath.Join(dir, inside), "-m", "pip", "install", "-q", "--disable-pip-version-check", confluentKafka))
	})
	return filepath.Join(dir, inside), err
}

// Consume hands every record of a topic to each, from the beginning on and as
// they arrive, read by librdkafka. It returns at once. One goroutine calls each,
// until stop returns, which the end of the test calls too. value is valid until
// each returns; values with line breaks cannot be read.
func Consume(tb testing.TB, addr, topic string, each func(partition int32, offset int64, value []byte)) (stop func()) {
	tb.Helper()
	records, stderr := &recordWriter{each: each}, &bytes.Buffer{}
	cmd := exec.Command(Python(tb), "-c", consumeScript, addr, topic)
	cmd.Stdout, cmd.Stderr = records, stderr
	p, err := child.Start(cmd)
	if err != nil {
		tb.Fatalf("librdkafka consumer: %v", err)
	}
	stop = sync.OnceFunc(func() {
		select {
		case <-p.Done():
			tb.Errorf("librdkafka consumer ended by itself: %v\n%s", p.Wait(), stderr)
		default:
			if err := p.Stop(consumerGrace); err != nil {
				tb.Errorf("librdkafka consumer: %v", err)
			}
		}
	})
	tb.Cleanup(stop)
	return stop
}

// recordWriter takes what consumeScript prints.
type recordWriter struct {
	each func(partition int32, offset int64, value []byte)
	rest []byte // of a line whose end has not come yet
}

// Write hands over the records in p that are complete.
func (w *recordWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, after, complete := bytes.Cut(p, []byte{'\n'})
		if !complete {
			w.rest = append(w.rest, p...)
			return n, nil
		}
		if len(w.rest) > 0 {
			line = append(w.rest, line...)
			w.rest = w.rest[:0]
		}
		if err := w.record(line); err != nil {
			return 0, err
		}
		p = after
	}
}

func (w *recordWriter) record(line []byte) error {
	fields := bytes.SplitN(line, []byte{' '}, 3)
	if len(fields) != 3 {
		return fmt.Errorf("librdkafka consumer: not a record: %.100q", line)
	}
	partition, err := strconv.ParseInt(string(fields[0]), 10, 32)
	if err != nil {
		return fmt.Errorf("librdkafka consumer: partition of %.100q: %w", line, err)
	}
	offset, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return fmt.Errorf("librdkafka consumer: offset of %.100q: %w", line, err)
	}
	w.each(int32(partition), offset, fields[2])
	return nil
}
