package policy

import (
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// BasicDocument is IoTBasicPolicy as Fieldline makes it at first start. A
// device may connect only as the thing that its certificate is attached to,
// and may send and receive only sensor/data and what lies below its own
// sensor/NAME.
func BasicDocument(acct iot.Account) string {
	const document = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "iot:Connect",
      "Resource": "ARN:client/${iot:Connection.Thing.ThingName}",
      "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    },
    {
      "Effect": "Allow",
      "Action": ["iot:Publish", "iot:Receive"],
      "Resource": [
        "ARN:topic/sensor/data",
        "ARN:topic/sensor/${iot:Connection.Thing.ThingName}/*"
      ]
    },
    {
      "Effect": "Allow",
      "Action": "iot:Subscribe",
      "Resource": [
        "ARN:topicfilter/sensor/data",
        "ARN:topicfilter/sensor/${iot:Connection.Thing.ThingName}/*"
      ]
    }
  ]
}
`
	return strings.ReplaceAll(document, "ARN:", acct.ARN("iot", ""))
}

// PlainDocument allows every iot: action on everything: the policies PlainMqtt and
// SignedMqtt begin with it, under which clients without certificates act: those of
// the plain listener, and those who signed with the operator's access key.
func PlainDocument() string {
	return `{
  "Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]
}
`
}
