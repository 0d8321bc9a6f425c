package compat

import (
	"fmt"
	"testing"
)

// mqttCases are the cases that each client library plays; sdk/mqtt_cases.py says
// what they are.
func mqttCases(version int) []string {
	cases := []string{"exchange", "will", "retained", "shared", "session", "restart"}
	if version == 5 {
		cases = append(cases, "properties")
	}
	return cases
}

func TestMQTTWithPahoForPython(t *testing.T)            { playAll(t, "mqtt_paho.py") }
func TestMQTTWithAWSIoTDeviceSDKForPython(t *testing.T) { playAll(t, "mqtt_aws.py") }
func TestMQTTWithAWSIoTDeviceSDKForNode(t *testing.T)   { playAll(t, "mqtt_aws.mjs") }

// playAll plays every case with a script in both versions, on one broker that is
// restarted in the last of each.
func playAll(t *testing.T, script string) {
	t.Parallel()
	b := mqttUp(t)
	for _, version := range []int{3, 5} {
		for _, name := range mqttCases(version) {
			t.Run(fmt.Sprintf("MQTT %d %s", version, name), func(t *testing.T) {
				b.fieldline.t = t
				b.play(script, "--version", fmt.Sprint(version), "--case", name, "--id", fmt.Sprintf("compat-%d-%s", version, name))
			})
		}
	}
	b.fieldline.t = t
}
