package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// control calls fieldline's control API as the operator.
type control struct {
	url  string
	key  aws.Credentials
	sign *v4.Signer
	http *http.Client
}

// newControl reads the operator's access key from the data folder.
func newControl(addr, data string) (*control, error) {
	text, err := os.ReadFile(filepath.Join(data, "credentials"))
	if err != nil {
		return nil, err
	}
	c := &control{
		url: "http://" + addr, sign: v4.NewSigner(),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connectors}, Timeout: patience},
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch name {
		case "aws_access_key_id":
			c.key.AccessKeyID = value
		case "aws_secret_access_key":
			c.key.SecretAccessKey = value
		}
	}
	return c, nil
}

// ask calls an operation of the service iot with JSON in and out, each of which
// may be nil, and with a header, name and value.
func (c *control) ask(method, path string, in, out any, header ...string) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequest(method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	sum := sha256.Sum256(body)
	if err := c.sign.SignHTTP(context.Background(), c.key, r, hex.EncodeToString(sum[:]), "iot", "us-east-1", time.Now()); err != nil {
		return err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}
