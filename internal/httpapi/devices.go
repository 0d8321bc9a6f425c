package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// Pages of the device list.
const (
	defaultDevices = 200
	maxDevices     = 1000
)

// device is a thing, or what has sent a reading, or both.
type device struct {
	Name         string        `json:"name"`
	Thing        bool          `json:"thing"`
	Online       bool          `json:"online"`
	Since        *int64        `json:"since"`  // ms since the epoch; null when offline
	Source       *string       `json:"source"` // ip:port; null when offline
	Certificates []certificate `json:"certificates"`
	Policies     []string      `json:"policies,omitempty"` // of one device only
	Topic        string        `json:"topic,omitempty"`    // of one device only
	last         *iot.Reading  // the member "last"
}

type certificate struct {
	ID       string                `json:"id"`
	Status   iot.CertificateStatus `json:"status"`
	NotAfter int64                 `json:"notAfter"` // ms since the epoch
}

// appendTo writes the device. encoding/json would compact the last reading,
// whose ts and payload stand in the answer byte for byte as they are stored.
func (d *device) appendTo(dst []byte) ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return dst, err
	}
	dst = append(append(dst, text[:len(text)-1]...), `,"last":`...)
	if d.last == nil {
		return append(dst, "null}"...), nil
	}
	dst = append(append(dst, `{"ts":`...), d.last.TS...)
	dst = strconv.AppendInt(append(dst, `,"time":`...), d.last.Time, 10)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), d.last.Seq, 10)
	dst = append(append(dst, `,"payload":`...), d.last.Payload...)
	return append(dst, "}}"...), nil
}

// serveDevices answers a page of the devices, by name; the first one says how
// many there are in all.
func (a *API) serveDevices(w http.ResponseWriter, r *http.Request) {
	after, limit, err := devicePage(r)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	devices, err := a.devicesAfter(r.Context(), after, limit+1)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	more := len(devices) > limit
	devices = devices[:min(limit, len(devices))]
	body := []byte(`{"devices":[`)
	for i := range devices {
		if i > 0 {
			body = append(body, ',')
		}
		if body, err = devices[i].appendTo(body); err != nil {
			a.writeError(w, r, err)
			return
		}
	}
	body = append(body, ']')
	if more {
		cursor := base64.RawURLEncoding.EncodeToString([]byte(devices[limit-1].Name))
		body = append(append(append(body, `,"cursor":"`...), cursor...), '"')
	}
	if after == "" { // counting reads all of them: once for a walk is enough
		total := len(devices)
		if more {
			if total, err = a.countDevices(r.Context()); err != nil {
				a.writeError(w, r, err)
				return
			}
		}
		body = strconv.AppendInt(append(body, `,"total":`...), int64(total), 10)
	}
	writeBody(w, http.StatusOK, append(body, '}'))
}

func devicePage(r *http.Request) (after string, limit int, err error) {
	limit = defaultDevices
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxDevices {
			return "", 0, fmt.Errorf("limit=%s: a number from 1 to %d: %w", text, maxDevices, iot.ErrInvalid)
		}
	}
	name, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("cursor"))
	if err != nil {
		return "", 0, fmt.Errorf("cursor=%s: the cursor of an earlier page: %w", r.URL.Query().Get("cursor"), iot.ErrInvalid)
	}
	return string(name), limit, nil
}

// countDevices counts things and senders of readings, each name once.
func (a *API) countDevices(ctx context.Context) (total int, err error) {
	for after := ""; ; {
		page, err := a.merge(ctx, after, maxDevices)
		if err != nil {
			return 0, err
		}
		total += len(page)
		if len(page) < maxDevices {
			return total, nil
		}
		after = page[len(page)-1].Name
	}
}

// devicesAfter returns the first devices behind a name, complete.
func (a *API) devicesAfter(ctx context.Context, after string, limit int) ([]device, error) {
	devices, err := a.merge(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	online := a.cfg.Sight.Online()
	for i := range devices {
		if err := a.complete(&devices[i], online); err != nil {
			return nil, err
		}
	}
	return devices, nil
}

// merge returns the first things and senders of readings behind a name.
func (a *API) merge(ctx context.Context, after string, limit int) ([]device, error) {
	things, err := a.cfg.Devices.Things(after, limit)
	if err != nil {
		return nil, fmt.Errorf("things: %w", err)
	}
	readings, err := a.cfg.Readings.LatestPage(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("latest readings: %w", err)
	}
	byName := make(map[string]*device, len(things)+len(readings))
	for _, t := range things {
		byName[t.Name] = &device{Name: t.Name, Thing: true}
	}
	for i := range readings {
		d := byName[readings[i].DeviceID]
		if d == nil {
			d = &device{Name: readings[i].DeviceID}
			byName[d.Name] = d
		}
		d.last = &readings[i]
	}
	devices := make([]device, 0, len(byName))
	for _, d := range byName {
		devices = append(devices, *d)
	}
	slices.SortFunc(devices, func(a, b device) int { return strings.Compare(a.Name, b.Name) })
	return devices[:min(limit, len(devices))], nil
}

// complete adds presence and certificates.
func (a *API) complete(d *device, online map[string]Presence) error {
	if p, ok := online[d.Name]; ok {
		d.Online, d.Since, d.Source = true, &p.Since, &p.Source
	}
	d.Certificates = []certificate{}
	if !d.Thing {
		return nil
	}
	ids, err := a.cfg.Devices.CertificatesOf(d.Name)
	if err != nil {
		return fmt.Errorf("certificates of %q: %w", d.Name, err)
	}
	for _, id := range ids {
		c, err := a.cfg.Devices.Certificate(id)
		if errors.Is(err, iot.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("certificate %s: %w", id, err)
		}
		d.Certificates = append(d.Certificates, certificate{c.ID, c.Status, c.NotAfter.UnixMilli()})
	}
	return nil
}

// serveDevice answers one device, with its policies and topic.
func (a *API) serveDevice(w http.ResponseWriter, r *http.Request) {
	d, err := a.findDevice(r.Context(), r.PathValue("name"))
	if err == nil {
		err = a.addPolicies(d)
	}
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	body, err := d.appendTo(nil)
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	writeBody(w, http.StatusOK, body)
}

func (a *API) findDevice(ctx context.Context, name string) (*device, error) {
	d := &device{Name: name, Topic: a.cfg.Session.Topic}
	_, err := a.cfg.Devices.Thing(name)
	d.Thing = err == nil
	if err != nil && !errors.Is(err, iot.ErrNotFound) {
		return nil, fmt.Errorf("thing %q: %w", name, err)
	}
	last, err := a.cfg.Readings.Latest(ctx, name)
	switch {
	case err == nil:
		d.last = &last
	case !errors.Is(err, iot.ErrNotFound):
		return nil, fmt.Errorf("latest reading of %q: %w", name, err)
	case !d.Thing:
		return nil, fmt.Errorf("device %q is no thing and has sent no reading: %w", name, iot.ErrNotFound)
	}
	return d, a.complete(d, a.cfg.Sight.Online())
}

func (a *API) addPolicies(d *device) error {
	for _, c := range d.Certificates {
		policies, err := a.cfg.Devices.PoliciesOf(c.ID)
		if err != nil {
			return fmt.Errorf("policies of certificate %s: %w", c.ID, err)
		}
		for _, p := range policies {
			if !slices.Contains(d.Policies, p.Name) {
				d.Policies = append(d.Policies, p.Name)
			}
		}
	}
	return nil
}
