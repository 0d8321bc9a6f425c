package iot

import "time"

// Role is an IAM role: who may assume it and what it may do, as documents.
type Role struct {
	Name        string
	Path        string // begins and ends with /
	ID          string // AROA…
	ARN         string
	Created     time.Time
	Trust       string // the policy of who may assume it, JSON
	Description string
	MaxSession  int // seconds
	Tags        map[string]string
	Inline      map[string]string // its own policies' documents, by name
	Attached    []string          // ARNs of managed policies, sorted
}

// ManagedPolicy is an IAM policy that roles may share.
type ManagedPolicy struct {
	Name        string
	Path        string // begins and ends with /
	ID          string // ANPA…
	ARN         string
	Created     time.Time
	Document    string // JSON
	Description string
	Tags        map[string]string
	Attachments int // roles that it is attached to; counted when read
}
