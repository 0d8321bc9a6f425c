package mqtt

import (
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// headers are headers by their lower-case names.
type headers map[string]string

func (h headers) get(name string) string { return h[name] }

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestHTTPProperties(t *testing.T) {
	format, expiry := byte(1), uint32(60)
	tests := []struct {
		name   string
		query  string
		header headers
		want   *iot.Properties
	}{
		{"none", "qos=1", nil, nil},
		{
			"all", "contentType=text/plain&responseTopic=a/b&messageExpiry=60",
			headers{
				"x-amz-mqtt5-payload-format-indicator": "UTF8_DATA", "x-amz-mqtt5-correlation-data": encoded("c"),
				"x-amz-mqtt5-user-properties": encoded(`[{"site":"7"},{"site":"8"}]`),
			},
			&iot.Properties{
				PayloadFormat: &format, MessageExpiry: &expiry, ContentType: "text/plain", ResponseTopic: "a/b", CorrelationData: []byte("c"),
				User: []iot.UserProperty{{Key: "site", Value: "7"}, {Key: "site", Value: "8"}},
			},
		},
		{"unspecified bytes", "", headers{"x-amz-mqtt5-payload-format-indicator": "UNSPECIFIED_BYTES"}, &iot.Properties{PayloadFormat: new(byte)}},
		{
			"user properties within a JSON text, as botocore sends them", "",
			headers{"x-amz-mqtt5-user-properties": encoded(`"[{\"site\":\"7\"}]"`)},
			&iot.Properties{User: []iot.UserProperty{{Key: "site", Value: "7"}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			query, _ := url.ParseQuery(tt.query)
			got, err := HTTPProperties(query, tt.header.get)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestHTTPPropertiesThatAreNone(t *testing.T) {
	tests := []struct {
		says   string
		query  string
		header headers
	}{
		{"contentType", "contentType=a%00", nil},
		{"contentType", "contentType=%ff", nil},
		{"responseTopic", "responseTopic=a%2F%23", nil},
		{"messageExpiry", "messageExpiry=-1", nil},
		{"messageExpiry", "messageExpiry=4294967296", nil},
		{"payloadFormatIndicator", "", headers{"x-amz-mqtt5-payload-format-indicator": "JSON"}},
		{"correlationData", "", headers{"x-amz-mqtt5-correlation-data": "%"}},
		{"userProperties", "", headers{"x-amz-mqtt5-user-properties": "%"}},
		{"userProperties", "", headers{"x-amz-mqtt5-user-properties": encoded(`{"a":"b"}`)}},
		{"userProperties", "", headers{"x-amz-mqtt5-user-properties": encoded(`[{"a":1}]`)}},
		{"userProperties", "", headers{"x-amz-mqtt5-user-properties": encoded(`[{"a":"\u0000"}]`)}},
	}
	for _, tt := range tests {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := HTTPProperties(query, tt.header.get); !errors.Is(err, iot.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %v: %v, want an error about %s", tt.query, tt.header, err, tt.says)
		}
	}
}

// FuzzHTTPProperties checks that what is read fits into a PUBLISH, unchanged.
func FuzzHTTPProperties(f *testing.F) {
	f.Add("text/plain", "a/b", "60", "UTF8_DATA", "Yw==", encoded(`[{"site":"7"},{"a":"b","c":"d"}]`))
	f.Add("", "", "", "", "", encoded(`"[{\"site\":\"7\"}]"`))
	f.Fuzz(func(t *testing.T, contentType, responseTopic, expiry, format, correlation, user string) {
		query := url.Values{"contentType": {contentType}, "responseTopic": {responseTopic}, "messageExpiry": {expiry}}
		p, err := HTTPProperties(query, headers{
			"x-amz-mqtt5-payload-format-indicator": format, "x-amz-mqtt5-correlation-data": correlation, "x-amz-mqtt5-user-properties": user,
		}.get)
		if err != nil || p == nil || len(contentType)+len(responseTopic)+len(correlation)+len(user) > 60_000 {
			return // refusing is always allowed; what is longer no header holds
		}
		var back Publish
		if err := back.Decode(AppendPublish(nil, V5, &Publish{Topic: []byte("t"), Properties: p}), V5); err != nil {
			t.Fatalf("%+v makes a PUBLISH that is refused: %v", p, err)
		}
		if !reflect.DeepEqual(back.Properties, p) {
			t.Errorf("%+v comes back as %+v", p, back.Properties)
		}
		again, err := HTTPProperties(url.Values{}, headers{"x-amz-mqtt5-user-properties": HTTPUserProperties(p.User)}.get)
		if err != nil || len(p.User) > 0 && !reflect.DeepEqual(again.User, p.User) {
			t.Errorf("user properties %+v come back as %+v, %v", p.User, again, err)
		}
	})
}
