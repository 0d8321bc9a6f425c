package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// measureBroadcast connects clients to a WebSocket API whose OnConnect stores
// them, and has one reading pushed to all: by the Lambda ProcessIoTData, and by
// the guide's loop in Python, which posts to one after another.
func measureBroadcast(ctx context.Context, s settings, table *tabwriter.Writer) (err error) {
	e, err := startFieldline(ctx, s.fieldline)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	url, api, err := createStack(ctx, s, e)
	if err != nil {
		return err
	}
	a, err := connect(ctx, url, s.connections)
	if err != nil {
		return err
	}
	defer a.close()
	loop, err := startGuideLoop(ctx, s, e, api)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.stop()) }()
	senders := []struct {
		name string
		send func() error
	}{
		{"the guide's loop", loop.send},
		{"ProcessIoTData (Lambda)", func() error {
			return invoke(ctx, e, "ProcessIoTData", fmt.Sprintf(`{"device_id":"bench","temperature":24.85,"ts":%d}`, time.Now().UnixMilli()))
		}},
	}
	took := make([][]time.Duration, len(senders))
	for range s.rounds {
		for i, sender := range senders {
			d, err := a.time(sender.send)
			if err != nil {
				return fmt.Errorf("%s: %w", sender.name, err)
			}
			took[i] = append(took[i], d)
		}
	}
	fmt.Fprintf(table, "one reading to %d connections\tms\tratio\n", s.connections)
	for i, sender := range senders {
		fmt.Fprintf(table, "%s\t%.0f\t%.1f\n", sender.name, milliseconds(median(took[i])), float64(median(took[0]))/float64(median(took[i])))
	}
	return nil
}

// createStack makes the tables, the WebSocket API and the functions, and returns
// the API's address and id.
func createStack(ctx context.Context, s settings, e *endpoint) (url, api string, err error) {
	if err := createTables(ctx, e); err != nil {
		return "", "", err
	}
	var made struct{ APIID, APIEndpoint string }
	err = e.ask(ctx, "apigateway", "POST", "/v2/apis", "", map[string]any{
		"name": "bench", "protocolType": "WEBSOCKET", "routeSelectionExpression": "$request.body.action",
	}, &made)
	if err != nil {
		return "", "", err
	}
	for _, l := range lambdas() {
		err := createFunction(ctx, s, e, l, map[string]string{"WEBSOCKET_API_ID": made.APIID})
		if err == nil && l.route != "" {
			err = serveRoute(ctx, e, made.APIID, l)
		}
		if err != nil {
			return "", "", err
		}
	}
	err = e.ask(ctx, "apigateway", "POST", "/v2/apis/"+made.APIID+"/stages", "", map[string]any{"stageName": "prod", "autoDeploy": true}, nil)
	return made.APIEndpoint + "/prod", made.APIID, err
}

// serveRoute has a function serve its route of an API.
func serveRoute(ctx context.Context, e *endpoint, api string, l lambda) error {
	permission := map[string]string{"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
	if err := e.ask(ctx, "lambda", "POST", "/2015-03-31/functions/"+l.name+"/policy", "", permission, nil); err != nil {
		return err
	}
	var made struct{ IntegrationID string }
	integration := map[string]any{"integrationType": "AWS_PROXY", "integrationUri": "arn:aws:lambda:" + region + ":123456789012:function:" + l.name}
	if err := e.ask(ctx, "apigateway", "POST", "/v2/apis/"+api+"/integrations", "", integration, &made); err != nil {
		return err
	}
	return e.ask(ctx, "apigateway", "POST", "/v2/apis/"+api+"/routes", "", map[string]any{"routeKey": l.route, "target": "integrations/" + made.IntegrationID}, nil)
}

// audience is the connected clients. Each tells of every frame that it gets.
type audience struct {
	conns []net.Conn
	got   chan struct{}
}

// connect opens connections, a few at once.
func connect(ctx context.Context, url string, n int) (*audience, error) {
	a := &audience{conns: make([]net.Conn, n), got: make(chan struct{}, n)}
	failures := make([]error, n)
	var dialers sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range n {
		dialers.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			conn, early, _, err := ws.Dial(ctx, url)
			if err != nil {
				failures[i] = err
				return
			}
			a.conns[i] = conn
			var r io.Reader = conn
			if early != nil {
				r = io.MultiReader(early, conn)
			}
			go a.listen(r, conn)
		})
	}
	dialers.Wait()
	if err := errors.Join(failures...); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *audience) listen(r io.Reader, conn net.Conn) {
	for {
		if _, _, err := wsutil.ReadServerData(struct {
			io.Reader
			io.Writer
		}{r, conn}); err != nil {
			return
		}
		a.got <- struct{}{}
	}
}

// time returns how long it takes from the start of send until every client has
// its frame.
func (a *audience) time(send func() error) (time.Duration, error) {
	start := time.Now()
	failed := make(chan error, 1)
	go func() { failed <- send() }()
	for n, sent := 0, false; n < len(a.conns) || !sent; {
		select {
		case <-a.got:
			n++
		case err := <-failed:
			if err != nil {
				return 0, err
			}
			sent = true
		case <-time.After(5 * time.Minute):
			return 0, fmt.Errorf("only %d of %d clients got the reading", n, len(a.conns))
		}
	}
	return time.Since(start), nil
}

func (a *audience) close() {
	for _, conn := range a.conns {
		if conn != nil {
			conn.Close()
		}
	}
}

// guideLoop is the guide's loop as it stands, in a process that is warm.
type guideLoop struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startGuideLoop(ctx context.Context, s settings, e *endpoint, api string) (*guideLoop, error) {
	cmd := exec.CommandContext(ctx, s.python, "aws/guide_loop.py", api)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+e.url, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region,
		"AWS_ACCESS_KEY_ID="+e.key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+e.key.SecretAccessKey)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	l := &guideLoop{cmd, in, bufio.NewScanner(out)}
	return l, l.expect("ready")
}

// send broadcasts once.
func (l *guideLoop) send() error {
	if _, err := io.WriteString(l.in, "\n"); err != nil {
		return err
	}
	return l.expect("done")
}

func (l *guideLoop) expect(word string) error {
	if !l.lines.Scan() || l.lines.Text() != word {
		return fmt.Errorf("the guide's loop said %q, not %q: %w", l.lines.Text(), word, cmp.Or(l.lines.Err(), io.ErrUnexpectedEOF))
	}
	return nil
}

func (l *guideLoop) stop() error { return errors.Join(l.in.Close(), l.cmd.Wait()) }
