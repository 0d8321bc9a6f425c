package mqtt_test

import (
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/mqtt"
)

func ExampleSplit() {
	received := mqtt.AppendPublish(nil, mqtt.V311, &mqtt.Publish{
		QoS: 1, PacketID: 1, Topic: []byte("sensor/data"), Payload: []byte(`{"temperature":21.5}`),
	})
	received = mqtt.AppendPingreq(received)
	for len(received) > 0 {
		size, err := mqtt.Split(received, 128<<10)
		if err != nil || size == 0 {
			break // close the connection, or read more
		}
		packet := received[:size]
		received = received[size:]
		switch mqtt.PacketType(packet) {
		case mqtt.PublishPacket:
			var p mqtt.Publish
			if err := p.Decode(packet, mqtt.V311); err == nil {
				fmt.Printf("%s: %s\n", p.Topic, p.Payload)
			}
		case mqtt.PingreqPacket:
			fmt.Println("still there?")
		}
	}
	// Output:
	// sensor/data: {"temperature":21.5}
	// still there?
}

func ExampleError() {
	_, err := mqtt.DecodeSubscribe([]byte{0x82, 2, 0, 1}, mqtt.V311)
	fmt.Println(err)
	// Output: protocol error: SUBSCRIBE has no topic filter [MQTT-3.8.3-2]
}
