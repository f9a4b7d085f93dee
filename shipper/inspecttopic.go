package shipper

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InspectTopic is a topic that records go to, and what they are like.
type InspectTopic struct {
	Name string
	// Role says what it is for, in a word or two.
	Role string
	// Keyed says that each record has a key, EventTime that its time is that of
	// its entry, and not that of sending.
	Keyed, EventTime bool
	// Largest is the size of the largest entry, in bytes; 0 is not known. Cut says
	// that what the topic does not take is cut, else it becomes a dead letter.
	Largest int64
	Cut     bool
	// ReadBack says that own records are read again, after a crash.
	ReadBack bool
}

// InspectTemplate is a template of topics.
type InspectTemplate struct {
	Text    string         // as it is configured
	Pattern *regexp.Regexp // that all names have which it can lead to
	Example string         // one of them
	// Except are topics that the pattern matches, but to which it does not lead.
	Except []string
	Topic  InspectTopic // of each, but for the name
}

// templateTopics bounds how many topics of a template are looked at.
const templateTopics = 20

// rights are the operations that Kafka allows, as a field of bits by the code of the
// operation (KIP-430).
type rights int32

// told reports whether Kafka says: since 2.3 it does.
func (r rights) told() bool { return r != math.MinInt32 }

func (r rights) has(op kmsg.ACLOperation) bool { return r&(1<<op) != 0 }

// topicView is what Kafka tells of a topic.
type topicView struct {
	err        error
	partitions []kmsg.MetadataResponseTopicPartition
	rights     rights
	config     topicConfig
	away       map[int32]bool // brokers that cannot be reached
	who        string         // we are
	skew       *clockSkew
}

// topics looks at all topics.
func (i *inspection) topics(ctx context.Context) {
	all := slices.Clone(i.o.Topics)
	if len(i.o.Templates) > 0 {
		all = append(all, i.templates(ctx, all)...)
	}
	views, err := i.views(ctx, all)
	if err != nil {
		i.add(Finding{Check: "topic", Subject: "all", Status: Problem, Says: fmt.Sprintf("cannot be asked for: %v [kafka-error]", err), Remedy: "look at the broker " + i.entry})
		return
	}
	var missing []InspectTopic
	for _, t := range all {
		switch v := views[t.Name]; {
		case v == nil:
			i.add(t.found("topic", Unknown, "Kafka does not tell of it", ""))
		case errors.Is(v.err, kerr.UnknownTopicOrPartition):
			missing = append(missing, t)
		default:
			i.add(t.judge(v)...)
		}
	}
	i.missing(ctx, missing)
}

// templates returns the topics that are there and which templates may lead to, and
// tells of each template.
func (i *inspection) templates(ctx context.Context, known []InspectTopic) (more []InspectTopic) {
	var names []string
	err := i.at(ctx, i.entry, func(ctx context.Context, client *kgo.Client) error {
		resp, err := client.SeedBrokers()[0].Request(ctx, kmsg.NewPtrMetadataRequest())
		if err == nil {
			for _, t := range resp.(*kmsg.MetadataResponse).Topics {
				if t.Topic != nil && !t.IsInternal {
					names = append(names, *t.Topic)
				}
			}
		}
		return err
	})
	slices.Sort(names)
	isKnown := func(name string) bool {
		same := func(t InspectTopic) bool { return t.Name == name }
		return slices.ContainsFunc(known, same) || slices.ContainsFunc(more, same)
	}
	for _, t := range i.o.Templates {
		f := Finding{Check: "topic.template", Subject: t.Text, Status: OK}
		var there int
		for _, name := range names {
			if !t.Pattern.MatchString(name) || slices.Contains(t.Except, name) {
				continue
			}
			if there++; there <= templateTopics && !isKnown(name) {
				topic := t.Topic
				topic.Name = name
				more = append(more, topic)
			}
		}
		switch {
		case err != nil:
			f.Status, f.Says = Unknown, fmt.Sprintf("the topics cannot be listed: %v", err)
		case there > templateTopics:
			f.Says = fmt.Sprintf("%d topics are there that it may lead to; the first %d are looked at", there, templateTopics)
		case there > 0:
			f.Says = fmt.Sprintf("%d topics are there that it may lead to", there)
		case i.o.CreateTopics == nil:
			f.Status, f.Says = Warning, "no topic is there, or none is shown to us, that it may lead to: lines wait until theirs is created"
			f.Remedy = "create the topics, or set kafka.create_topics"
		default:
			f.Says = "no topic is there yet that it may lead to"
		}
		i.add(f)
		if i.o.CreateTopics != nil && !slices.Contains(names, t.Example) && !isKnown(t.Example) {
			topic := t.Topic // may one such be created?
			topic.Name = t.Example
			more = append(more, topic)
		}
	}
	return more
}

// views asks for topics and their configuration.
func (i *inspection) views(ctx context.Context, topics []InspectTopic) (map[string]*topicView, error) {
	views := make(map[string]*topicView)
	if len(topics) == 0 {
		return views, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true // and AllowAutoTopicCreation is not set
	configs := kmsg.NewPtrDescribeConfigsRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic.Name)
		req.Topics = append(req.Topics, t)
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, topic.Name, topicKeys
		configs.Resources = append(configs.Resources, r)
	}
	resp, err := ask[*kmsg.MetadataResponse](ctx, i, req)
	if err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		if t.Topic != nil {
			views[*t.Topic] = &topicView{
				err: kerr.ErrorForCode(t.ErrorCode), partitions: t.Partitions, rights: rights(t.AuthorizedOperations),
				away: i.away, who: i.brokers.who(), skew: i.skew,
			}
		}
	}
	told, err := ask[*kmsg.DescribeConfigsResponse](ctx, i, configs)
	if err != nil {
		return views, nil //nolint:nilerr // each topic tells that its configuration is not known
	}
	for _, r := range told.Resources {
		if v := views[r.ResourceName]; v != nil && r.ErrorCode == 0 {
			v.config = newTopicConfig(r.Configs)
		}
	}
	return views, nil
}

// missing tells of topics that are not there: whether they would be created is found
// out by asking Kafka to check the request, and no more.
func (i *inspection) missing(ctx context.Context, topics []InspectTopic) {
	if len(topics) == 0 {
		return
	}
	if i.o.CreateTopics == nil {
		for _, t := range topics {
			i.add(t.found("topic", Problem, "does not exist [kafka-topic-missing]", "create it, or set kafka.create_topics; shiplog waits for it"))
		}
		return
	}
	var names []string
	for _, t := range topics {
		names = append(names, t.Name)
	}
	partitions, replication := i.o.CreateTopics.asked()
	var created kadm.CreateTopicResponses
	err := i.at(ctx, i.entry, func(ctx context.Context, client *kgo.Client) (err error) {
		created, err = kadm.NewClient(client).ValidateCreateTopics(ctx, partitions, replication, nil, names...)
		return err
	})
	for _, t := range topics {
		switch why := notCreated(created, t.Name, err); {
		case why == nil:
			i.add(t.found("topic", OK, "does not exist, and may be created", ""))
		case errors.Is(why, kerr.TopicAlreadyExists):
			i.add(t.found("topic", Problem, "is there, but is not shown to us [kafka-forbidden]", "allow "+i.brokers.who()+" DESCRIBE and WRITE on it"))
		default:
			i.add(t.found("topic", Problem, fmt.Sprintf("does not exist, and cannot be created: %v [kafka-topic-create]", why), createRemedy(why)))
		}
	}
}

func (t *InspectTopic) found(check string, s Status, says, remedy string) Finding {
	subject := t.Name
	if t.Role != "" {
		subject += " (" + t.Role + ")"
	}
	return Finding{Check: check, Subject: subject, Status: s, Says: says, Remedy: remedy}
}

// judge tells what is to be said of a topic that is there.
func (t *InspectTopic) judge(v *topicView) []Finding {
	switch {
	case isForbidden(v.err):
		return []Finding{t.found("topic.rights", Problem, "no right to know of it [kafka-forbidden]", "allow "+v.who+" DESCRIBE and WRITE on it")}
	case errors.Is(v.err, kerr.InvalidTopicException):
		return []Finding{t.found("topic", Problem, v.err.Error()+" [kafka-topic-name]", "name another in the configuration")}
	case v.err != nil && !errors.Is(v.err, kerr.LeaderNotAvailable):
		return []Finding{t.found("topic", Problem, v.err.Error()+" [kafka-error]", "name another in the configuration, or put it right")}
	}
	out := []Finding{t.judgeRights(v), t.judgeReplicas(v)}
	if v.config == nil {
		return append(out, t.found("topic.config", Unknown, "its limits cannot be read without the right DESCRIBE_CONFIGS on it: what is too large is found by trying", ""))
	}
	out = append(out, t.judgeSize(v.config), t.judgeTime(v))
	if strings.Contains(v.config["cleanup.policy"], "compact") && !t.Keyed {
		out = append(out, t.found("topic.cleanup", Problem, "it is compacted, and takes no record without a key [kafka-key-missing]", "set kafka.key, or give the topic cleanup.policy=delete"))
	}
	return out
}

func (t *InspectTopic) judgeRights(v *topicView) Finding {
	const check = "topic.rights"
	switch {
	case !v.rights.told():
		return t.found(check, Unknown, "this Kafka does not tell what we may do (2.3 and later do)", "")
	case !v.rights.has(kmsg.ACLOperationWrite):
		return t.found(check, Problem, "no right to write [kafka-forbidden]", "allow "+v.who+" WRITE and DESCRIBE on it")
	case t.ReadBack && !v.rights.has(kmsg.ACLOperationRead):
		return t.found(check, Warning, "may be written, but not read: after a crash, lines of the last second may come twice, and verify cannot look [kafka-forbidden]", "allow "+v.who+" READ on it")
	}
	return t.found(check, OK, "may be written", "")
}

// judgeReplicas tells whether each partition has a leader that can be reached, and
// enough replicas for acks=all.
func (t *InspectTopic) judgeReplicas(v *topicView) Finding {
	const check = "topic.replicas"
	least := v.config.number("min.insync.replicas")
	var headless, unreachable, short, lagging []int32
	replicas := math.MaxInt
	for _, p := range v.partitions {
		replicas = min(replicas, len(p.Replicas))
		switch {
		case p.Leader < 0:
			headless = append(headless, p.Partition)
		case v.away[p.Leader]:
			unreachable = append(unreachable, p.Partition)
		case int64(len(p.ISR)) < least:
			short = append(short, p.Partition)
		case len(p.ISR) < len(p.Replicas):
			lagging = append(lagging, p.Partition)
		}
	}
	of := func(which []int32, says, code string) string {
		return fmt.Sprintf("%d of %d partitions %s (%s)%s", len(which), len(v.partitions), says, someOf(which), code)
	}
	insync := fmt.Sprintf("min.insync.replicas is %d", least)
	switch {
	case len(v.partitions) == 0:
		return t.found(check, Problem, "it has no partition yet [kafka-leader]", "look at the cluster's controller")
	case len(headless) > 0:
		return t.found(check, Problem, of(headless, "have no leader: their lines wait", " [kafka-leader]"), "bring their brokers back")
	case len(unreachable) > 0:
		return t.found(check, Problem, of(unreachable, "are led by a broker that cannot be used from here: their lines wait", " [kafka-unreachable]"), "see the broker above")
	case int64(replicas) < least:
		return t.found(check, Problem, fmt.Sprintf("a partition has %d replicas, and %s: it can take nothing [kafka-replicas]", replicas, insync), "give the topic more replicas, or lower its min.insync.replicas")
	case len(short) > 0:
		return t.found(check, Problem, of(short, "have fewer in-sync replicas than wanted: their lines wait; "+insync, " [kafka-replicas]"), "bring their brokers back")
	case len(lagging) > 0:
		return t.found(check, Warning, of(lagging, "have replicas that are away or behind", ""), "look at the brokers of these replicas")
	case replicas == 1:
		return t.found(check, Warning, fmt.Sprintf("%d partitions, with one replica each: what is acknowledged is on one disk only", len(v.partitions)), "give the topic three replicas and min.insync.replicas=2, where losing lines matters")
	case least == 1:
		return t.found(check, Warning, fmt.Sprintf("%d replicas, but %s: what is acknowledged may be on one broker only", replicas, insync), "set min.insync.replicas=2, where losing lines matters")
	case int64(replicas) == least:
		return t.found(check, Warning, fmt.Sprintf("%d replicas, and %s: when one broker is away, lines wait", replicas, insync), "give the topic one replica more")
	}
	return t.found(check, OK, fmt.Sprintf("%d partitions with %d replicas each, all in sync; %s", len(v.partitions), replicas, insync), "")
}

// someOf lists the first few numbers.
func someOf(numbers []int32) string {
	const few = 8
	var b strings.Builder
	for n, number := range numbers {
		if n == few {
			b.WriteString(", …")
			break
		}
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, number)
	}
	return b.String()
}
