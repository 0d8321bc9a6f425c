package compat

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ownCA makes a CA with openssl, registers it with the AWS CLI as docs/certificates.md
// has it, and prints its id last. $1 has further options of register-ca-certificate.
const ownCA = `set -euo pipefail
openssl req -x509 -newkey rsa:2048 -nodes -keyout plant.key -out plant.pem -days 3650 -subj "/CN=Our plant"
CODE=$(aws iot get-registration-code --query registrationCode --output text)
openssl req -new -newkey rsa:2048 -nodes -keyout verify.key -out verify.csr -subj "/CN=$CODE"
openssl x509 -req -in verify.csr -CA plant.pem -CAkey plant.key -CAcreateserial -out verify.pem -days 1
aws iot register-ca-certificate --ca-certificate file://plant.pem --verification-certificate file://verify.pem \
  --set-as-active $1 --query certificateId --output text
`

// ownDevice makes a device's certificate of that CA.
const ownDevice = `set -euo pipefail
openssl req -new -newkey rsa:2048 -nodes -keyout private.pem.key -out device.csr -subj "/CN=pump-07"
openssl x509 -req -in device.csr -CA plant.pem -CAkey plant.key -CAcreateserial -out certificate.pem.crt -days 365
`

// shell runs a script in a folder with the server's environment and returns the
// last line that it printed.
func (f *fieldline) shell(dir, script string, args ...string) string {
	f.t.Helper()
	cmd := f.tool(nil, "bash", append([]string{"-c", script, "bash"}, args...)...)
	cmd.Dir = dir
	lines := strings.Split(strings.TrimSpace(f.output(cmd)), "\n")
	return lines[len(lines)-1]
}

// mosquitto publishes a reading of pump-07 with the certificate in dir.
func (f *fieldline) mosquitto(dir string) error {
	f.t.Helper()
	cmd := exec.Command(need(f.t, "mosquitto_pub"), "--cafile", filepath.Join(f.data, "ca", "AmazonRootCA1.pem"),
		"--cert", filepath.Join(dir, "certificate.pem.crt"), "--key", filepath.Join(dir, "private.pem.key"),
		"-h", "localhost", "-p", port(f.addresses.Device), "-i", "pump-07", "-q", "1", "-t", "sensor/data", "-m", `{"device_id":"pump-07","n":1}`)
	return cmd.Run()
}

// A device whose certificate the user's own CA signed, registered with the AWS CLI.
func TestOwnCAOnTheAWSCLI(t *testing.T) {
	need(t, "openssl")
	f, dir := up(t), t.TempDir()
	ca := f.shell(dir, ownCA, "")
	f.shell(dir, ownDevice)
	if err := f.mosquitto(dir); err == nil {
		t.Fatal("a certificate that is not registered gets in")
	}
	id := f.shell(dir, `set -euo pipefail
aws iot create-thing --thing-name pump-07
ARN=$(aws iot register-certificate --certificate-pem file://certificate.pem.crt --ca-certificate-pem file://plant.pem --status ACTIVE --query certificateArn --output text)
aws iot attach-policy --policy-name IoTBasicPolicy --target "$ARN"
aws iot attach-thing-principal --thing-name pump-07 --principal "$ARN"
aws iot list-certificates-by-ca --ca-certificate-id "$1" --query 'certificates[0].certificateId' --output text`, ca)
	if err := f.mosquitto(dir); err != nil {
		t.Errorf("a registered certificate does not get in: %v", err)
	}
	if got := f.get("/prod/iotdata?device_id=pump-07"); !strings.Contains(got, `"n":1`) {
		t.Errorf("its reading is %s", got)
	}
	var described struct {
		CertificateDescription struct{ Status, AutoRegistrationStatus, CertificateMode string }
	}
	text := f.output(f.tool(nil, "aws", "iot", "describe-ca-certificate", "--certificate-id", ca))
	if err := json.Unmarshal([]byte(text), &described); err != nil || described.CertificateDescription.Status != "ACTIVE" ||
		described.CertificateDescription.AutoRegistrationStatus != "DISABLE" || described.CertificateDescription.CertificateMode != "DEFAULT" {
		t.Errorf("described as %s (%v)", text, err)
	}
	if out := f.command("cert", "revoke", "--ca", ca); !strings.Contains(out, "certificate "+id+" is REVOKED") {
		t.Errorf("revoking what the CA signed: %s", out)
	}
	if err := f.mosquitto(dir); err == nil {
		t.Error("a revoked certificate gets in")
	}
	f.shell(dir, `set -euo pipefail
aws iot list-ca-certificates --query 'certificates[].certificateId' --output text | grep "$1"
aws iot delete-ca-certificate --certificate-id "$1"
if aws iot describe-ca-certificate --certificate-id "$1"; then exit 1; fi`, ca)
}

// Just-in-time registration: the first connect registers, the second gets in.
func TestJustInTimeRegistrationWithMosquitto(t *testing.T) {
	need(t, "openssl")
	f, dir := up(t), t.TempDir()
	ca := f.shell(dir, ownCA, "--allow-auto-registration")
	f.shell(dir, ownDevice)
	if err := f.mosquitto(dir); err == nil {
		t.Fatal("a certificate gets in that nobody has activated")
	}
	f.shell(dir, `set -euo pipefail
ID=$(aws iot list-certificates-by-ca --ca-certificate-id "$1" --query 'certificates[0].certificateId' --output text)
aws iot describe-certificate --certificate-id "$ID" --query certificateDescription.status --output text | grep PENDING_ACTIVATION
ARN=$(aws iot describe-certificate --certificate-id "$ID" --query certificateDescription.certificateArn --output text)
aws iot create-thing --thing-name pump-07
aws iot attach-policy --policy-name IoTBasicPolicy --target "$ARN"
aws iot attach-thing-principal --thing-name pump-07 --principal "$ARN"
aws iot update-certificate --certificate-id "$ID" --new-status ACTIVE`, ca)
	if err := f.mosquitto(dir); err != nil {
		t.Errorf("an activated certificate does not get in: %v", err)
	}
}
