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
		for _, version := range []int{3, 5} {
			cases := []string{"exchange", "session", "restart"}
			if version == 3 {
				cases = append(cases, "will")
			}
			for _, name := range cases {
				t.Run(fmt.Sprintf("%s MQTT %d %s", script, version, name), func(t *testing.T) {
					b.fieldline.t = t
					cmd := b.sdk(script, arguments(version, name, fmt.Sprintf("compat-%s-%d-%s", strings.TrimPrefix(script, "mqtt_aws."), version, name))...)
					cmd.Env = b.credentials()
					b.follow(cmd)
				})
			}
		}
		t.Run(script+" with a session token", func(t *testing.T) {
			b.fieldline.t = t
			text, err := os.ReadFile(filepath.Join(b.data, "credentials"))
			if err != nil {
				t.Fatal(err)
			}
			key, secret := "", ""
			for line := range strings.Lines(string(text)) {
				name, value, _ := strings.Cut(line, "=")
				switch strings.TrimSpace(name) {
				case "aws_access_key_id":
					key = strings.TrimSpace(value)
				case "aws_secret_access_key":
					secret = strings.TrimSpace(value)
				}
			}
			run := func(secret, name string) error {
				cmd := b.sdk(script, arguments(5, "exchange", "compat-"+name)...)
				cmd.Env = append(b.credentials(), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=FwoGZXIvYXdzE+/=")
				out, err := cmd.CombinedOutput()
				t.Logf("%s", out)
				return err
			}
			if err := run(secret, "token"); err != nil {
				t.Errorf("a session token beside the access key: %v", err)
			}
			if err := run("another", "wrong"); err == nil && !peer() {
				t.Error("a signature with another secret was let in")
			}
		})
	}
	b.fieldline.t = t
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
