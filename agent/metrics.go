package agent

import (
	"maps"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows: the names and units are Prometheus' own
// conventions. Nearly all are made anew from a Status at each scrape, so that
// what an input, a broker or a kind no longer has leaves no series behind; none
// has a series per file.
type metrics struct {
	registry *prometheus.Registry
	// acknowledged is the time from handing a block over to its acknowledgement.
	acknowledged prometheus.Histogram
}

// Bounds of a scrape.
const (
	scrapesAtOnce = 4
	scrapeTimeout = 20 * time.Second
)

// newMetrics returns the metrics of an agent whose status is status.
func newMetrics(status func() Status) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), acknowledged: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "shiplog_acknowledgement_seconds", Help: "Time from reading a block of lines to its acknowledgement by Kafka.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})}
	m.registry.MustRegister(m.acknowledged, statusCollector{status}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// handler answers scrapes.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout, Registry: m.registry,
	})
}

// statusCollector makes metrics of a status.
type statusCollector struct{ status func() Status }

// metric describes one metric that a status becomes.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("shiplog_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc("shiplog_"+name, help, labels, nil), prometheus.CounterValue}
}

// What a status becomes.
var ( //nolint:gochecknoglobals // constant descriptions
	metricInfo    = gauge("info", "Always 1; its labels say what runs.", "version", "goversion")
	metricStarted = gauge("start_timestamp_seconds", "When the agent started.")
	metricHealthy = gauge("healthy", "1 if /healthz is green, else 0.")
	metricReady   = gauge("ready", "1 if /readyz is green, else 0.")
	metricLogged  = counter("logged_errors_total", "Warnings and errors that were logged.", "level")

	metricReadBytes     = counter("read_bytes_total", "Raw bytes read from files.", "input")
	metricLines         = counter("lines_total", "Entries read from files, without blank lines.", "input")
	metricRecords       = counter("records_total", "Records made of entries, to be sent.", "input")
	metricAcked         = counter("acknowledged_records_total", "Records that are in Kafka, or dead letters.", "input")
	metricAckedBytes    = counter("acknowledged_bytes_total", "Raw bytes of files whose records are in Kafka, or dead letters, or left out.", "input")
	metricUnparsed      = counter("parse_failures_total", "Entries that were shipped whole because they did not parse, by the format that did not fit.", "input", "format")
	metricDropped       = counter("dropped_lines_total", "Entries that transforms left out on purpose: filtered, sampled, limited.", "input", "reason")
	metricKnown         = counter("already_sent_lines_total", "Entries that were not sent because the run before a crash had sent them.", "input")
	metricTruncated     = counter("truncated_lines_total", "Lines that were cut to max_line_bytes.", "input")
	metricPartial       = counter("partial_lines_total", "Lines that were shipped without a newline at their end.", "input")
	metricUntransformed = counter("transform_failures_total", "Entries that were shipped although a transformation of theirs failed.", "input")
	metricUndated       = counter("undated_records_total", "Records that have the time of their sending because their entry tells none, with kafka.timestamp: event.", "input")
	metricRotations     = counter("rotations_total", "Files that lost their name or their bytes, by how.", "input", "kind")
	metricLost          = counter("lost_bytes_total", "Bytes that were seen in files which were truncated or removed before they were read.", "input")
	metricLagBytes      = gauge("lag_bytes", "Bytes in files that are not acknowledged.", "input")
	metricLagSeconds    = gauge("lag_seconds", "How long ago the oldest byte was seen that could be acknowledged and is not.", "input")
	metricPending       = gauge("pending_bytes", "Bytes at the end of files that make no complete entry yet.", "input")
	metricFiles         = gauge("files", "Files by their state.", "input", "state")
	metricOpen          = gauge("open_files", "Files with a descriptor.", "input")
	metricDeleted       = gauge("deleted_file_bytes", "Bytes on disk of deleted files that are still open here.", "input")
	metricSkipped       = gauge("skipped_paths", "Paths that were asked for and cannot be looked at.")

	metricInFlight        = gauge("in_flight_bytes", "Bytes that are read and not acknowledged, against shiplog_memory_limit_bytes.")
	metricInFlightRecords = gauge("in_flight_records", "Records that are read and not acknowledged.")
	metricMemoryLimit     = gauge("memory_limit_bytes", "The most bytes that may be in flight.")
	metricOldest          = gauge("oldest_unacknowledged_seconds", "Age of the oldest entry in flight; 0 if none is.")
	metricLastAck         = gauge("last_acknowledgement_timestamp_seconds", "When Kafka last acknowledged; 0 if it has not yet.")
	metricKafkaErrors     = counter("kafka_errors_total", "Attempts to produce that failed and are repeated, and looks that found why nothing arrives, by reason.", "reason")
	metricTopics          = gauge("topics", "Topics that templates have led to, against shiplog_topics_limit.")
	metricTopicsLimit     = gauge("topics_limit", "The most topics that templates may lead to, kafka.max_topics.")
	metricHomeless        = counter("fallback_topic_entries_total", "Entries whose template led to no topic of their own.")
	metricBroker          = gauge("kafka_broker_state", "1 for the state that the broker is in: connected, idle, unreachable.", "broker", "state")
	metricBrokerFailures  = counter("kafka_broker_connect_failures_total", "Failures to connect to a broker.", "broker")
	metricShortened       = counter("shortened_records_total", "Records that were cut to what their topic takes.")
	metricLetters         = gauge("dead_letters", "Dead letters in the dead letter file.")
	metricLetterBytes     = gauge("dead_letter_bytes", "Size of the dead letter file.")
	metricLettersDue      = gauge("dead_letters_due", "Dead letters that are not in the dead letter topic yet.")
	metricLettersWritten  = counter("dead_letters_written_total", "Dead letters written.")

	metricSaves        = counter("checkpoint_saves_total", "Saves of the checkpoint that went well.")
	metricSaveFailures = counter("checkpoint_failures_total", "Saves of the checkpoint that failed.")
	metricLastSave     = gauge("checkpoint_last_save_timestamp_seconds", "When the checkpoint was last saved; 0 if it was not yet.")
	metricSaveSeconds  = gauge("checkpoint_last_save_seconds", "How long the last save took.")
	metricPinned       = gauge("pinned_files", "Rotated files that a pin keeps.")
	metricPinnedBytes  = gauge("pinned_bytes", "Bytes that pins keep.")
	metricPinQuota     = gauge("pins_quota_bytes", "The most bytes that pins may keep.")
	metricUnpinned     = gauge("unpinned_files", "Rotated files that should be pinned and are not.")
)

// Describe implements prometheus.Collector: what is collected is known from the
// collecting only.
func (c statusCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c statusCollector) Collect(to chan<- prometheus.Metric) {
	s := c.status()
	e := emitter{to}
	e.emit(metricInfo, 1, s.AgentVersion, runtime.Version())
	e.emit(metricStarted, stampSeconds(s.Started))
	e.emit(metricHealthy, truth(s.Healthy))
	e.emit(metricReady, truth(s.Ready))
	e.emit(metricLogged, float64(s.Logged.Warnings), "warn")
	e.emit(metricLogged, float64(s.Logged.Errors), "error")
	e.emit(metricSkipped, float64(s.SkippedTotal))
	e.emit(metricShortened, float64(s.Totals.Shortened))
	for i := range s.Inputs {
		e.input(&s.Inputs[i])
	}
	e.kafka(&s.Kafka)
	e.state(&s)
}

// emitter hands metrics over.
type emitter struct{ to chan<- prometheus.Metric }

func (e emitter) emit(m metric, value float64, labels ...string) {
	e.to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
}

func (e emitter) input(in *InputState) {
	t, sums := &in.Totals, &in.Sums
	for _, c := range []struct {
		metric
		value int64
	}{
		{metricReadBytes, t.Bytes}, {metricLines, t.Lines}, {metricRecords, t.Records}, {metricAcked, t.Acknowledged}, {metricAckedBytes, t.AcknowledgedBytes},
		{metricKnown, t.AlreadySent}, {metricTruncated, t.Truncated}, {metricPartial, t.Partial}, {metricUntransformed, t.Untransformed}, {metricUndated, t.Undated},
		{metricLost, t.LostBytes}, {metricLagBytes, sums.Lag}, {metricPending, sums.Pending}, {metricOpen, int64(sums.Open)}, {metricDeleted, sums.Deleted},
	} {
		e.emit(c.metric, float64(c.value), in.Name)
	}
	e.emit(metricLagSeconds, sums.LagSeconds, in.Name)
	e.emit(metricDropped, float64(t.Filtered), in.Name, "filtered")
	e.emit(metricDropped, float64(t.Sampled), in.Name, "sampled")
	e.emit(metricDropped, float64(t.Limited), in.Name, "limited")
	e.byKind(metricUnparsed, in.Unparsed, in.Name)
	e.byKind(metricRotations, in.Rotations, in.Name)
	for _, state := range fileStates() {
		e.emit(metricFiles, float64(sums.States[state]), in.Name, state)
	}
}

// byKind emits one series for each kind; the kind is the last label.
func (e emitter) byKind(m metric, counts map[string]int64, labels ...string) {
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		e.emit(m, float64(counts[kind]), append(slices.Clip(labels), kind)...)
	}
}

func (e emitter) kafka(k *KafkaState) {
	e.emit(metricInFlight, float64(k.InFlightBytes))
	e.emit(metricInFlightRecords, float64(k.InFlightRecords))
	e.emit(metricMemoryLimit, float64(k.MemoryLimit))
	e.emit(metricOldest, k.OldestSeconds)
	e.emit(metricLastAck, stampSeconds(k.LastAck))
	e.emit(metricTopics, float64(len(k.Topics)))
	e.emit(metricTopicsLimit, float64(k.TopicsMax))
	e.emit(metricHomeless, float64(k.Homeless))
	e.byKind(metricKafkaErrors, k.Errors)
	for i := range k.Brokers {
		b := &k.Brokers[i]
		for _, state := range brokerStates() {
			e.emit(metricBroker, truth(b.State == state), b.Addr, state)
		}
		e.emit(metricBrokerFailures, float64(b.Failures), b.Addr)
	}
	e.emit(metricLetters, float64(k.DeadLetters))
	e.emit(metricLetterBytes, float64(k.DeadLetterBytes))
	e.emit(metricLettersDue, float64(k.DeadLettersDue))
	e.emit(metricLettersWritten, float64(k.DeadLettersWritten))
}

func (e emitter) state(s *Status) {
	e.emit(metricSaves, float64(s.Checkpoint.Saves))
	e.emit(metricSaveFailures, float64(s.Checkpoint.Failures))
	e.emit(metricLastSave, stampSeconds(s.Checkpoint.LastSave))
	e.emit(metricSaveSeconds, s.Checkpoint.LastSeconds)
	e.emit(metricPinned, float64(s.Pins.Files))
	e.emit(metricPinnedBytes, float64(s.Pins.Bytes))
	e.emit(metricPinQuota, float64(s.Pins.Quota))
	e.emit(metricUnpinned, float64(s.Pins.Unpinned))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stampSeconds is an instant in seconds since 1970; 0 for none.
func stampSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
