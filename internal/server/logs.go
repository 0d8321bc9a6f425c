package server

import (
	"errors"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/logs"
	"github.com/fieldline-iot/fieldline/internal/roles"
)

// buildLogs builds the engines behind CloudWatch Logs and IAM.
func (s *Server) buildLogs() (err error) {
	s.logGroups, err = logs.New(logs.Config{Records: s.store.Section("logs"), Log: s.log, Metrics: s.metrics})
	if err != nil {
		return err
	}
	s.roles, err = roles.New(roles.Config{Records: s.store.Section("roles"), Account: s.cfg.Account})
	return err
}

func (s *Server) logsAPI() awsapi.Logs {
	return awsapi.Logs{Groups: s.logGroups, Streams: s.logGroups, Events: s.logGroups}
}

func (s *Server) iamAPI() awsapi.IAM {
	return awsapi.IAM{Roles: s.roles, RolePolicies: s.roles, Policies: s.roles}
}

// functionLines returns what a function logged, from line number from on.
func (s *Server) functionLines(name string, from uint64) ([]iot.LogLine, error) {
	lines, err := s.logGroups.Lines(function.LogGroup(name), from)
	if errors.Is(err, iot.ErrNotFound) && s.functions.Exists(name) {
		return nil, nil // it has logged nothing yet
	}
	return lines, err
}
