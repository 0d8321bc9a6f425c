package target

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// sendMessage performs an [iot.SendMessage].
func (t *Targets) sendMessage(ctx context.Context, e iot.OutboxEntry) error {
	task, request, err := parse[iot.SendMessage](e)
	if err != nil {
		return err
	}
	if request.Body == "" {
		return missing(task, "a message body, which SQS demands")
	}
	of, err := t.queue(request.QueueURL)
	if err != nil {
		return err
	}
	client := clientOf(t.clients, of, func(c aws.Config) *sqs.Client { return sqs.NewFromConfig(c) })
	return t.call(ctx, of, func(ctx context.Context) error {
		out, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &request.QueueURL, MessageBody: &request.Body})
		if err == nil && aws.ToString(out.MessageId) == "" {
			return errors.New("it answered without the message's id")
		}
		return err
	})
}

// queue is the subject of a queue's URL.
func (t *Targets) queue(text string) (subject, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(u.Path) < 2:
		return subject{}, fmt.Errorf("queueUrl %q is not an SQS queue's URL, such as https://sqs.us-east-1.amazonaws.com/123456789012/readings: %w", excerpt(text), iot.ErrInvalid)
	case strings.HasSuffix(u.Path, ".fifo"):
		return subject{}, fmt.Errorf("SQS queue %s is a FIFO queue, and rules send to standard queues only, as on AWS: %w", excerpt(text), iot.ErrInvalid)
	}
	return subject{SQS, "SQS queue " + excerpt(text), t.atQueue(u)}, nil
}
