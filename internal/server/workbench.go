package server

import (
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/workbench"
)

// buildWorkbench builds what tries statements.
func (s *Server) buildWorkbench() error {
	s.workbench = workbench.New(workbench.Config{Account: s.cfg.Account, Readings: readings{s.store}, Call: s.look})
	return nil
}

// observe is told every commit that was applied.
func (s *Server) observe(c *iot.Commit) {
	for _, m := range c.Messages {
		s.workbench.Pass(m)
	}
	if s.cfg.Observe != nil {
		s.cfg.Observe(c)
	}
}
