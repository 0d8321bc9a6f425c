package servertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
	"github.com/fieldline-iot/fieldline/internal/server"
)

// mount mounts a file system in memory on an empty folder, until the end of the
// test. Where that is not permitted the test is skipped; CI must permit it.
func mount(t *testing.T, flags uintptr, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must be able to mount a file system: %v", err)
		}
		t.Skipf("needs root, to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

func TestDataFolderThatIsNotWritable(t *testing.T) {
	t.Run("itself", func(t *testing.T) {
		dir := readOnly(t)
		refused(t, Config(dir), dir, "not writable", "--data")
	})
	t.Run("the folder it would be made in", func(t *testing.T) {
		dir := filepath.Join(readOnly(t), "new")
		refused(t, Config(dir), "--data "+dir, "not writable", "another folder")
	})
	t.Run("below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, Config(file), "--data", file, "not a directory")
	})
}

// readOnly returns a folder that this user cannot write.
func readOnly(t *testing.T) string {
	t.Helper()
	if os.Geteuid() == 0 { // whom modes do not stop
		return mount(t, unix.MS_RDONLY, "size=1m")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	return dir
}

// hoarder is a device that fills the disk with numbered readings.
type hoarder struct {
	t      *testing.T
	name   string
	device *Client
	stored []string // its acknowledged readings, in order
	tried  int
}

// reading makes the next reading: large, and not to be compressed by much.
func (h *hoarder) reading() string {
	h.tried++
	random := make([]byte, 48<<10)
	rand.NewChaCha8([32]byte{byte(h.tried), byte(h.tried >> 8)}).Read(random) // never fails
	return fmt.Sprintf(`{"device_id":%q,"n":%d,"pad":"%x"}`, h.name, h.tried, random)
}

// publish sends the next reading, and reports whether it was taken.
func (h *hoarder) publish() bool {
	h.t.Helper()
	reading := h.reading()
	switch code := h.device.TryPublish(server.GuideTopic, reading); code {
	case mqtt.Success:
		h.stored = append(h.stored, reading)
		return true
	case mqtt.QuotaExceeded:
		return false
	default:
		h.t.Fatalf("PUBACK %v", code)
		return false
	}
}

// publishToTheEnd publishes until a reading is not acknowledged, as MQTT 3.1.1
// refuses one: the connection ends instead.
func (h *hoarder) publishToTheEnd() {
	h.t.Helper()
	for {
		reading := h.reading()
		p := mqtt.Publish{QoS: 1, PacketID: uint16(h.tried), Topic: []byte(server.GuideTopic), Payload: []byte(reading)}
		if err := h.device.Send(p); err != nil {
			h.t.Fatal(err)
		}
		_, err := h.device.Puback()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			h.t.Fatal("neither acknowledged nor refused")
		}
		if err != nil {
			return
		}
		h.stored = append(h.stored, reading)
	}
}

// check compares the device's history with what was acknowledged.
func (h *hoarder) check(gateway string) {
	h.t.Helper()
	i := 0
	eachReading(h.t, gateway, h.name, func(payload []byte) {
		if i >= len(h.stored) || string(payload) != h.stored[i] {
			h.t.Fatalf("reading %d of the history is not the one acknowledged: %.60s", i, payload)
		}
		i++
	})
	if i != len(h.stored) {
		h.t.Fatalf("%d readings in the history, %d were acknowledged", i, len(h.stored))
	}
}

// TestFullDiskIsSurvived runs a server on a file system of 96 MiB, part of which
// is taken by others. First the server fills it, then the others take every last
// byte, then they make room again.
func TestFullDiskIsSurvived(t *testing.T) {
	t.Parallel()
	dir := mount(t, 0, "size=96m")
	data, other := filepath.Join(dir, "data"), filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, 74<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Start(t, func(c *server.Config) { c.Data, c.MQTTAddr = data, "127.0.0.1:0" }) // makes all that a start needs
	config5, _ := s.Device("five")
	config3, _ := s.Device("three")
	s.Stop()

	c := spawn(t, data)
	five := &hoarder{t: t, name: "five", device: c.connect(t, "five", config5, mqtt.V5)}
	three := &hoarder{t: t, name: "three", device: c.connect(t, "three", config3, mqtt.V311)} // its session is stored
	for five.publish() {
	}
	if len(five.stored) < 50 {
		t.Fatalf("the disk is said to be full after %d readings", len(five.stored))
	}
	awaitLog(t, c.log, "disk nearly full: writes are refused")
	awaitLog(t, c.log, "message refused", "client=five", "not enough free disk space")

	fillUp(t, other)
	three.publishToTheEnd()
	awaitLog(t, c.log, "client disconnected", "client=three", "not enough free disk space")
	for range 20 {
		five.publish() // refused, or taken where there is still room: the connection stays
	}
	five.check(c.addresses.Gateway)
	three.check(c.addresses.Gateway)

	c.kill(t)
	c = spawn(t, data) // on a full disk
	five.check(c.addresses.Gateway)
	five.device = c.connect(t, "five", config5, mqtt.V5)
	fillUp(t, other)
	eventually(t, "messages to be refused", func() bool { return !five.publish() })

	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	eventually(t, "messages to be taken again", five.publish)
	awaitLog(t, c.log, "space is back: writes are taken again")
	three.device = c.connect(t, "three", config3, mqtt.V311)
	if !three.publish() {
		t.Error("refused with room")
	}
	c.stop(t)
	c = spawn(t, data)
	five.check(c.addresses.Gateway)
	three.check(c.addresses.Gateway)
	c.stop(t) // before its file system goes
	t.Logf("%d of %d readings were acknowledged", len(five.stored)+len(three.stored), five.tried+three.tried)
}

// fillUp appends to a file until its file system has no room.
func fillUp(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 4<<10; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			size /= 2
		}
	}
}
