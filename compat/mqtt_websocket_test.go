package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// credentials are the environment of a client that signs with the server's access
// key; mosquitto checks no signature.
func (b *mqttBroker) credentials() []string {
	b.t.Helper()
	if !peer() {
		return b.environment()
	}
	file := filepath.Join(b.data, "credentials")
	write(b.t, file, "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n")
	return append(os.Environ(), "AWS_SHARED_CREDENTIALS_FILE="+file, "AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=us-east-1")
}

// TestMQTTOverWebSocketWithAWSIoTDeviceSDKs plays cases over wss://GATEWAY/mqtt, signed
// by the SDKs themselves with the credentials of `fieldline env`.
func TestMQTTOverWebSocketWithAWSIoTDeviceSDKs(t *testing.T) {
	t.Parallel()
	files := filepath.Join(t.TempDir(), "gateway")
	newAuthority(t).issue(t, files, "localhost")
	b := mqttUp(t, "--gateway-cert", filepath.Join(files, "certificate.pem.crt"), "--gateway-key", filepath.Join(files, "private.pem.key"))
	ca := filepath.Join(files, "AmazonRootCA1.pem")
	if peer() {
		ca = b.file("AmazonRootCA1.pem")
	}
	arguments := func(version int, name, id string) []string {
		return []string{"--websocket", "--port", port(b.wss), "--ca", ca, "--version", fmt.Sprint(version), "--case", name, "--id", id}
	}
	for _, script := range []string{"mqtt_aws.py", "mqtt_aws.mjs"} {
		for _, tt := range []struct {
			version int
			name    string
		}{{3, "exchange"}, {3, "will"}, {3, "session"}, {3, "restart"}, {5, "exchange"}, {5, "session"}, {5, "restart"}} {
			t.Run(fmt.Sprintf("%s MQTT %d %s", script, tt.version, tt.name), func(t *testing.T) {
				b.fieldline.t = t
				cmd := b.sdk(script, arguments(tt.version, tt.name, fmt.Sprintf("compat-%s-%d-%s", filepath.Ext(script)[1:], tt.version, tt.name))...)
				cmd.Env = b.credentials()
				b.follow(cmd)
			})
		}
		t.Run(script+" with a session token", func(t *testing.T) {
			b.fieldline.t = t
			key, secret := b.stored("aws_access_key_id"), b.stored("aws_secret_access_key")
			cmd := b.sdk(script, arguments(5, "exchange", "compat-token")...)
			cmd.Env = append(b.credentials(), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=FwoGZXIvYXdzE+/=")
			b.follow(cmd)
		})
		t.Run(script+" with another secret", func(t *testing.T) {
			b.fieldline.t = t
			if peer() {
				t.Skip("mosquitto checks no signature")
			}
			cmd := b.sdk(script, arguments(5, "exchange", "compat-wrong")...)
			cmd.Env = append(b.credentials(), "AWS_ACCESS_KEY_ID="+b.stored("aws_access_key_id"), "AWS_SECRET_ACCESS_KEY=another")
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "WEBSOCKET_UPGRADE_FAILURE") {
				t.Errorf("a signature with another secret was not refused: %v\n%s", err, out)
			}
		})
	}
	b.fieldline.t = t
}

// stored is a setting of the server's credentials file.
func (b *mqttBroker) stored(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.data, "credentials"))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	b.t.Fatalf("no %s in the credentials file", name)
	return ""
}

// TestMQTTOverWebSocketInChromium is mqtt.js in a page, with presigned URLs.
func TestMQTTOverWebSocketInChromium(t *testing.T) {
	t.Parallel()
	chromium := need(t, "chromium")
	b := mqttUp(t)
	cmd := b.sdk("mqtt_browser.mjs")
	cmd.Env = append(b.credentials(), "CHROMIUM="+chromium, "MQTT_URL=ws://"+b.ws+"/mqtt", "ID=compat")
	if peer() {
		cmd.Env = append(cmd.Env, "PEER=1")
	}
	b.follow(cmd)
}
