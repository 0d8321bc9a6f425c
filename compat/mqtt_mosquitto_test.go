package compat

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mosquittoTools runs mosquitto_pub and mosquitto_sub against a broker.
type mosquittoTools struct {
	*mqttBroker
	version string // mqttv311 or mqttv5
	id      string // what client ids and topics begin with
}

// login are the options of a client.
func (m *mosquittoTools) login(id string, args []string) []string {
	return append([]string{
		"-h", "localhost", "-p", port(m.addr), "--cafile", m.file("AmazonRootCA1.pem"), "--cert", m.file("certificate.pem.crt"),
		"--key", m.file("private.pem.key"), "-V", m.version, "-i", m.id + "-" + id,
	}, args...)
}

// keep are the options of a client whose session lasts.
func (m *mosquittoTools) keep(args ...string) []string {
	if m.version == "mqttv5" {
		return append([]string{"-c", "-x", "300"}, args...)
	}
	return append([]string{"-c"}, args...)
}

// pub publishes what the options say and waits for its acknowledgement.
func (m *mosquittoTools) pub(id string, args ...string) {
	m.t.Helper()
	m.output(exec.Command(need(m.t, "mosquitto_pub"), m.login(id, args)...))
}

// lines publishes numbers as messages of one connection.
func (m *mosquittoTools) lines(id string, from, to int, args ...string) {
	m.t.Helper()
	cmd := exec.Command(need(m.t, "mosquitto_pub"), m.login(id, append(args, "-l"))...)
	var text strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintln(&text, n)
	}
	cmd.Stdin = strings.NewReader(text.String())
	m.output(cmd)
}

// sub subscribes and returns what comes, up to the number that -C names.
func (m *mosquittoTools) sub(id string, args ...string) string {
	m.t.Helper()
	return m.output(exec.Command(need(m.t, "mosquitto_sub"), m.login(id, append(args, "-W", "30"))...))
}

// mosquittoSub is a mosquitto_sub that runs.
type mosquittoSub struct {
	m   *mosquittoTools
	cmd *exec.Cmd
	out *buffer
}

// listen starts a mosquitto_sub and waits until it is subscribed. It writes its
// messages as lines "got FORMAT".
func (m *mosquittoTools) listen(id, format string, args ...string) *mosquittoSub {
	m.t.Helper()
	// Into a pipe mosquitto_sub holds its lines back; stdbuf has it write them.
	args = append([]string{"-o0", need(m.t, "mosquitto_sub")}, m.login(id, append(args, "-d", "-F", "got "+format))...)
	s := &mosquittoSub{m, exec.Command(need(m.t, "stdbuf"), args...), new(buffer)}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		s.end(syscall.SIGKILL)
		if m.t.Failed() {
			m.t.Logf("%s:\n%s", id, s.out)
		}
	})
	m.eventually("the subscription of "+id, func() bool { return strings.Contains(s.out.String(), "Subscribed (") })
	return s
}

// got is what came so far.
func (s *mosquittoSub) got() (lines []string) {
	for line := range strings.Lines(s.out.String()) {
		if line, ok := strings.CutPrefix(line, "got "); ok {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// gets waits for messages and checks that they are those.
func (s *mosquittoSub) gets(want ...string) {
	s.m.t.Helper()
	s.m.eventually(fmt.Sprintf("%d messages", len(want)), func() bool { return len(s.got()) >= len(want) })
	time.Sleep(200 * time.Millisecond)
	if got := s.got(); !slices.Equal(got, want) {
		s.m.t.Errorf("there came %q, want %q", got, want)
	}
}

func (s *mosquittoSub) end(signal syscall.Signal) {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(signal)
		_ = s.cmd.Wait()
	}
}

// numbers are decimal numbers as text.
func numbers(from, to int) (list []string) {
	for n := from; n < to; n++ {
		list = append(list, strconv.Itoa(n))
	}
	return list
}

// TestMQTTWithMosquittoClients plays the cases of sdk/mqtt_cases.py with Debian's
// command-line clients.
func TestMQTTWithMosquittoClients(t *testing.T) {
	t.Parallel()
	need(t, "mosquitto_sub")
	b := mqttUp(t)
	for _, version := range []string{"mqttv311", "mqttv5"} {
		for _, tt := range []struct {
			name string
			play func(*mosquittoTools)
			five bool // only in MQTT 5
		}{
			{"exchange", (*mosquittoTools).exchange, false},
			{"will", (*mosquittoTools).will, false},
			{"retained", (*mosquittoTools).retained, false},
			{"shared", (*mosquittoTools).shared, false},
			{"session", (*mosquittoTools).session, false},
			{"restart", (*mosquittoTools).acrossRestart, false},
			{"properties", (*mosquittoTools).properties, true},
		} {
			if tt.five && version != "mqttv5" {
				continue
			}
			t.Run(version+" "+tt.name, func(t *testing.T) {
				b.fieldline.t = t
				tt.play(&mosquittoTools{b, version, "compat-" + version + "-" + tt.name})
			})
		}
	}
	b.fieldline.t = t
}

func (m *mosquittoTools) exchange() {
	var subs []*mosquittoSub
	for level := range 3 {
		subs = append(subs, m.listen(fmt.Sprint("sub", level), "%q %t %p", "-q", fmt.Sprint(level), "-t", m.id+"/+"))
	}
	var want [3][]string
	for qos := range 3 {
		topic := fmt.Sprint(m.id, "/", qos)
		m.lines("pub", 0, 20, "-q", fmt.Sprint(qos), "-t", topic)
		for level := range 3 {
			for _, n := range numbers(0, 20) {
				want[level] = append(want[level], fmt.Sprintf("%d %s %s", min(level, qos), topic, n))
			}
			subs[level].gets(want[level]...)
		}
	}
}

func (m *mosquittoTools) will() {
	watch := m.listen("watch", "%q %r %t %p", "-q", "1", "-t", m.id+"/will")
	testament := func(name string) *mosquittoSub {
		return m.listen(name, "%p", "-t", m.id+"/other", "--will-topic", m.id+"/will", "--will-qos", "1", "--will-payload", name)
	}
	testament("gone").end(syscall.SIGKILL)
	watch.gets("1 0 " + m.id + "/will gone")
	testament("parting").end(syscall.SIGTERM) // its DISCONNECT asks for the will in MQTT 5
	if m.version == "mqttv5" {
		watch.gets("1 0 "+m.id+"/will gone", "1 0 "+m.id+"/will parting")
	} else {
		watch.gets("1 0 " + m.id + "/will gone")
	}
}

func (m *mosquittoTools) retained() {
	topic := m.id + "/state"
	live := m.listen("live", "%r %p", "-q", "1", "-t", topic)
	m.pub("pub", "-q", "1", "-r", "-t", topic, "-m", "old")
	m.pub("pub", "-q", "1", "-r", "-t", topic, "-m", "new")
	live.gets("0 old", "0 new")
	m.listen("late", "%r %p", "-q", "1", "-t", m.id+"/+").gets("1 new")
	m.pub("pub", "-q", "1", "-r", "-n", "-t", topic)
	after := m.listen("after", "%r %p", "-q", "1", "-t", topic, "-t", m.id+"/marker")
	m.pub("pub", "-q", "1", "-t", m.id+"/marker", "-m", "marker")
	after.gets("0 marker")
}

func (m *mosquittoTools) shared() {
	one := m.listen("one", "%p", "-q", "1", "-t", "$share/group/"+m.id+"/#")
	two := m.listen("two", "%p", "-q", "1", "-t", "$share/group/"+m.id+"/#")
	m.lines("pub", 10, 70, "-q", "1", "-t", m.id+"/data")
	m.eventually("the group's 60 messages", func() bool { return len(one.got())+len(two.got()) >= 60 })
	first, second := one.got(), two.got()
	if got := slices.Sorted(slices.Values(slices.Concat(first, second))); !slices.Equal(got, numbers(10, 70)) || len(first) == 0 || len(second) == 0 {
		m.t.Errorf("the members got %v and %v", first, second)
	}
}

func (m *mosquittoTools) session() {
	topic := m.id + "/data"
	m.sub("kept", m.keep("-E", "-q", "2", "-t", topic)...)
	m.lines("pub", 0, 20, "-q", "1", "-t", topic)
	m.lines("pub", 20, 40, "-q", "2", "-t", topic)
	got := strings.Fields(m.sub("kept", m.keep("-q", "2", "-t", topic, "-C", "40")...))
	if !slices.Equal(got, numbers(0, 40)) {
		m.t.Errorf("what was published while the client was away came as %v", got)
	}
}

// acrossRestart stays within the 20 messages in flight that mosquitto 2.0.11 itself
// handles in MQTT 5 after it has restarted.
func (m *mosquittoTools) acrossRestart() {
	topic := m.id + "/data"
	m.sub("away", m.keep("-E", "-q", "2", "-t", topic)...)
	live := m.listen("live", "%p", m.keep("-q", "2", "-t", topic)...)
	m.pub("pub", "-q", "1", "-r", "-t", m.id+"/kept", "-m", "kept")
	m.lines("pub", 0, 12, "-q", "2", "-t", topic)
	live.gets(numbers(0, 12)...)
	m.restart()
	live.end(syscall.SIGKILL) // it ends by itself where TLS is not closed, or connects again
	again := m.listen("live", "%p", m.keep("-q", "2", "-t", topic)...)
	m.lines("pub", 12, 18, "-q", "2", "-t", topic)
	again.gets(numbers(12, 18)...)
	got := strings.Fields(m.sub("away", m.keep("-q", "2", "-t", topic, "-C", "18")...))
	if !slices.Equal(got, numbers(0, 18)) {
		m.t.Errorf("the subscriber that was away got %v", got)
	}
	if got := m.sub("late", "-q", "1", "-t", m.id+"/kept", "-C", "1", "-F", "%r %p"); got != "1 kept\n" {
		m.t.Errorf("the retained message came as %q", got)
	}
}

func (m *mosquittoTools) properties() {
	topic := m.id + "/request"
	sub := m.listen("sub", "%p %C %D %F %P %R %S %E", "-q", "1", "-t", topic, "-D", "subscribe", "subscription-identifier", "77")
	m.pub("pub", "-q", "1", "-t", topic, "-m", "{}", "-D", "publish", "content-type", "application/json", "-D", "publish", "correlation-data", "c0",
		"-D", "publish", "message-expiry-interval", "600", "-D", "publish", "payload-format-indicator", "1", "-D", "publish", "response-topic", "re/ply",
		"-D", "publish", "user-property", "unit", "K", "-D", "publish", "user-property", "unit", "C")
	m.eventually("the request", func() bool { return len(sub.got()) > 0 })
	got, left, _ := strings.Cut(sub.got()[0], " 77 ")
	if got != "{} application/json c0 1 unit:K unit:C re/ply" {
		m.t.Errorf("the request came as %q", sub.got())
	}
	if left, err := strconv.Atoi(left); err != nil || left < 590 || left > 600 {
		m.t.Errorf("the Message Expiry Interval of 600 came as %q", sub.got())
	}
	aliased := m.listen("aliased", "%t %p", "-q", "1", "-t", m.id+"/alias")
	m.pub("pub", "-q", "1", "-t", m.id+"/alias", "-m", "again", "--repeat", "5", "-D", "publish", "topic-alias", "1")
	aliased.gets(slices.Repeat([]string{m.id + "/alias again"}, 5)...)
}
