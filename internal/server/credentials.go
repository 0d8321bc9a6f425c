package server

import (
	"bufio"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/sigv4"
)

// CredentialsFile is the name, in the data folder, of the control API's access
// key, in the AWS shared-credentials format.
const CredentialsFile = "credentials"

// LoadCredentials reads the access key of a data folder.
func LoadCredentials(data string) (sigv4.Credentials, error) {
	path := filepath.Join(data, CredentialsFile)
	f, err := os.Open(path)
	if err != nil {
		return sigv4.Credentials{}, err
	}
	defer f.Close()
	var c sigv4.Credentials
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch strings.TrimSpace(key) {
		case "aws_access_key_id":
			c.AccessKeyID = strings.TrimSpace(value)
		case "aws_secret_access_key":
			c.SecretAccessKey = strings.TrimSpace(value)
		}
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return c, fmt.Errorf("%s lacks aws_access_key_id or aws_secret_access_key: delete it and start fieldline up to have a new one", path)
	}
	return c, nil
}

// ensureCredentials returns the data folder's access key, and makes it at first
// start.
func ensureCredentials(data string) (sigv4.Credentials, error) {
	c, err := LoadCredentials(data)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	id, secret := make([]byte, 10), make([]byte, 30)
	rand.Read(id) // never fails
	rand.Read(secret)
	c = sigv4.Credentials{
		AccessKeyID:     "AKIA" + base32.StdEncoding.EncodeToString(id),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret),
	}
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", c.AccessKeyID, c.SecretAccessKey)
	return c, writeFile(filepath.Join(data, CredentialsFile), text, 0o600)
}

// secret returns the secret of an access key: the operator's, or the functions'.
func (s *Server) secret(key string) (secret string, ok bool) {
	switch key {
	case s.credentials.AccessKeyID:
		return s.credentials.SecretAccessKey, true
	case s.functionKey.AccessKeyID:
		return s.functionKey.SecretAccessKey, true
	}
	return "", false
}

// accountFile names, in the data folder, the account and region that it was made
// for: they stand in the ARNs of what is stored.
const accountFile = "account"

// LoadAccount reads which account and region a data folder was made for.
func LoadAccount(data string) (iot.Account, error) {
	text, err := os.ReadFile(filepath.Join(data, accountFile))
	if err != nil {
		return iot.Account{}, err
	}
	id, region, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return iot.Account{ID: id, Region: region}, nil
}

// checkAccount refuses to start a data folder under another account or region.
func checkAccount(data string, ours iot.Account) error {
	made, err := LoadAccount(data)
	if errors.Is(err, fs.ErrNotExist) {
		return writeFile(filepath.Join(data, accountFile), ours.ID+" "+ours.Region+"\n", 0o644)
	}
	if err == nil && made != ours {
		return fmt.Errorf("--data %s was made for account %s in region %s: start with --account-id %[2]s --region %[3]s, or use another folder", data, made.ID, made.Region)
	}
	return err
}

// writeFile replaces a file as a whole or not at all.
func writeFile(path, text string, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
