package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// logKind writes one entry, number i, and returns how many lines that were.
type logKind func(w io.Writer, i int, r *rand.Rand) (lines int, err error)

// stackLines is how many lines the entries of stackKind have.
const stackLines = 14

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func someOperation(r *rand.Rand) string {
	return pick(r, "LoadVehicleUsages", "SaveTrip", "CloseMonth", "PrintBadge", "FindDriver")
}

func someUser(r *rand.Rand) string { return pick(r, "jpowell", "mkranz", "a.silva", "svc_batch") }

func logTime(i int) string {
	return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).Add(time.Duration(i%86_400_000) * time.Millisecond).Format("2006-01-02T15:04:05.000Z")
}

// plainKind is what many applications write; 147 bytes on average.
func plainKind(w io.Writer, i int, r *rand.Rand) (int, error) {
	status := 200
	if i%17 == 0 {
		status = 500
	}
	_, err := fmt.Fprintf(w, "%s INFO [worker-%d] com.example.pool.%s - request %d user=%s status=%d took %dms path=/api/vehicles/%d\n",
		logTime(i), i%16, someOperation(r), i, someUser(r), status, 1+r.IntN(900), i%9999)
	return 1, err
}

// envelopeKind is envelopes in strict JSON; 303 bytes on average.
func envelopeKind(w io.Writer, i int, r *rand.Rand) (int, error) {
	params, err := json.Marshal(fmt.Sprintf("value %q", fmt.Sprint(i%13)))
	if err == nil {
		_, err = fmt.Fprintf(w, `{"message": "There was a connection error when attempting to gather data from SQL Server: db%d.example.org", "payload": {"application": %q, "username": %q, "operation": %q, "params": {"seq": %d, "tookMs": %d, "paramA": "test_parameter_valueA", "paramB": %s}}}`+"\n",
			i%7, pick(r, "Pool Cars", "Fleet Desk", "Payroll", "Badge Office"), someUser(r), someOperation(r), i, 1+r.IntN(900), params)
	}
	return 1, err
}

// relaxedKind is envelopes as legacy producers write them; 278 bytes.
func relaxedKind(w io.Writer, i int, r *rand.Rand) (int, error) {
	_, err := fmt.Fprintf(w, "{message: 'There was a connection error when attempting to gather data from SQL Server: db%d.example.org', payload: {application: '%s', username: %s, operation: '%s', params: {seq: %d, paramA: 'test_parameter_valueA', paramB: 'test_parameter_valueB'}}}\n",
		i%7, pick(r, "Pool Cars", "Fleet Desk", "Payroll", "Badge Office"), someUser(r), someOperation(r), i)
	return 1, err
}

// stackKind is a line and the stack trace that belongs to it.
func stackKind(w io.Writer, i int, r *rand.Rand) (int, error) {
	op := someOperation(r)
	_, err := fmt.Fprintf(w, "%s ERROR [worker-%d] com.example.pool.%s - request %d failed for %s\njava.sql.SQLException: connection refused: db%d.example.org\n",
		logTime(i), i%16, op, i, someUser(r), i%7)
	for k := range stackLines - 2 {
		if err != nil {
			break
		}
		_, err = fmt.Fprintf(w, "\tat com.example.pool.%s.step%d(%s.java:%d)\n", op, k, op, 10+r.IntN(900))
	}
	return stackLines, err
}

// writeLog writes lines of a kind to path, and returns how many entries they are.
func writeLog(path string, kind logKind, lines int) (entries int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	r := rand.New(rand.NewPCG(7, 7))
	for n := 0; n < lines; entries++ {
		k, err := kind(w, entries, r)
		if err != nil {
			return entries, err
		}
		n += k
	}
	if err := w.Flush(); err != nil {
		return entries, err
	}
	return entries, f.Close()
}
