package kafkatest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"shiplog/shipper/kafkatest/child"
)

// LegacyVersion is a Kafka as sites have it that were not renewed: the last that
// keeps its metadata in ZooKeeper only.
const LegacyVersion = "2.8.2"

// legacy reports whether a version of Kafka needs ZooKeeper.
func legacy(version string) bool {
	major, err := strconv.Atoi(strings.SplitN(version, ".", 2)[0])
	return err == nil && major < 3
}

// logBinding returns the Maven artifact that prints the log of a version.
func logBinding(version string) (group, artifact, release string) {
	if legacy(version) {
		return "org.slf4j", "slf4j-log4j12", "1.7.30"
	}
	return "org.apache.logging.log4j", "log4j-slf4j-impl", "2.24.3"
}

// legacyProperties replaces what a KRaft node needs by what one with ZooKeeper does.
func (s *server) legacyProperties(p map[string]string) {
	for _, k := range []string{"process.roles", "node.id", "controller.quorum.voters", "controller.listener.names", "broker.session.timeout.ms", "broker.heartbeat.interval.ms"} {
		delete(p, k)
	}
	p["broker.id"] = "1"
	p["listeners"] = "PLAINTEXT://" + s.addr
	p["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT"
	p["zookeeper.connect"] = s.keeper
	p["zookeeper.session.timeout.ms"] = "4000" // a killed broker comes back after this
}

// startKeeper starts ZooKeeper, which runs until close, over stops of the broker.
func (s *server) startKeeper() error {
	_, port, _ := strings.Cut(s.keeper, ":")
	conf := s.path("zookeeper.properties")
	text := fmt.Sprintf("dataDir=%s\nclientPort=%s\nclientPortAddress=127.0.0.1\ntickTime=1000\nadmin.enableServer=false\n", filepath.ToSlash(s.path("zookeeper")), port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	log4j := s.path("log4j.properties")
	if err := os.WriteFile(log4j, []byte("log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n"), 0o600); err != nil {
		return err
	}
	s.jvm = append(s.jvm, "-Dlog4j.configuration=file:"+filepath.ToSlash(log4j))
	logFile, err := os.Create(s.path("zookeeper.log"))
	if err != nil {
		return err
	}
	defer logFile.Close() //nolint:errcheck // the process has its own descriptor
	cmd := s.javaCommand("org.apache.zookeeper.server.quorum.QuorumPeerMain", conf)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	s.keeperProc, err = child.Start(cmd)
	return err
}
