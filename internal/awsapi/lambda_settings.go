package awsapi

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// change changes a function's configuration at whatever revision it is.
func (a *API) change(q *request, change func(*iot.Function)) (iot.Function, error) {
	name, err := a.functionName(q)
	if err != nil {
		return iot.Function{}, err
	}
	return a.changeNamed(name, change)
}

func (a *API) changeNamed(name string, change func(*iot.Function)) (iot.Function, error) {
	return a.cfg.Lambda.Editor.UpdateFunction(name, "", func(f *iot.Function) error {
		change(f)
		return nil
	})
}

type concurrencyAnswer struct {
	ReservedConcurrentExecutions *int `json:",omitempty"`
}

func (a *API) putConcurrency(_ context.Context, q *request) (any, error) {
	var in concurrencyAnswer
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.ReservedConcurrentExecutions == nil {
		return nil, required("reservedConcurrentExecutions")
	}
	if n := *in.ReservedConcurrentExecutions; n < 0 {
		return nil, unmet("reservedConcurrentExecutions", fmt.Sprint(n), "have value greater than or equal to 0")
	}
	f, err := a.change(q, func(f *iot.Function) { f.Reserved = in.ReservedConcurrentExecutions })
	if err != nil {
		return nil, err
	}
	return concurrencyAnswer{f.Reserved}, nil
}

func (a *API) deleteConcurrency(_ context.Context, q *request) (any, error) {
	_, err := a.change(q, func(f *iot.Function) { f.Reserved = nil })
	return nil, err
}

func (a *API) getConcurrency(_ context.Context, q *request) (any, error) {
	f, err := a.function(q)
	if err != nil {
		return nil, err
	}
	return concurrencyAnswer{f.Reserved}, nil
}

type eventConfigAnswer struct {
	LastModified             epoch
	FunctionArn              string
	MaximumRetryAttempts     int
	MaximumEventAgeInSeconds int
	DestinationConfig        struct{ OnSuccess, OnFailure empty }
}

func (a *API) eventConfigAnswer(f *iot.Function) (any, error) {
	if f.Async == nil {
		return nil, newFault("ResourceNotFoundException", "The function "+a.functionARN(f.Name)+":$LATEST doesn't have an EventInvokeConfig")
	}
	return eventConfigAnswer{
		LastModified: epoch(f.Async.Modified), FunctionArn: a.functionARN(f.Name) + ":$LATEST",
		MaximumRetryAttempts: f.Async.MaxRetries, MaximumEventAgeInSeconds: int(f.Async.MaxAge / time.Second),
	}, nil
}

func (a *API) putEventConfig(_ context.Context, q *request) (any, error) {
	in := struct {
		MaximumRetryAttempts, MaximumEventAgeInSeconds *int
		DestinationConfig                              struct{ OnSuccess, OnFailure struct{ Destination string } }
	}{}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	to := in.DestinationConfig
	err := refuseMembers(present{"DestinationConfig.OnSuccess", to.OnSuccess.Destination != ""}, present{"DestinationConfig.OnFailure", to.OnFailure.Destination != ""})
	if err != nil {
		return nil, err
	}
	async := iot.AsyncConfig{MaxRetries: 2, MaxAge: 6 * time.Hour, Modified: a.cfg.Now()}
	if n := in.MaximumRetryAttempts; n != nil {
		if *n < 0 || *n > 2 {
			return nil, unmet("maximumRetryAttempts", fmt.Sprint(*n), "have value between 0 and 2")
		}
		async.MaxRetries = *n
	}
	if n := in.MaximumEventAgeInSeconds; n != nil {
		if *n < 60 || *n > 21600 {
			return nil, unmet("maximumEventAgeInSeconds", fmt.Sprint(*n), "have value between 60 and 21600")
		}
		async.MaxAge = time.Duration(*n) * time.Second
	}
	f, err := a.change(q, func(f *iot.Function) { f.Async = &async })
	if err != nil {
		return nil, err
	}
	return a.eventConfigAnswer(&f)
}

func (a *API) getEventConfig(_ context.Context, q *request) (any, error) {
	f, err := a.function(q)
	if err != nil {
		return nil, err
	}
	return a.eventConfigAnswer(&f)
}

func (a *API) deleteEventConfig(_ context.Context, q *request) (any, error) {
	f, err := a.function(q)
	if err == nil {
		_, err = a.eventConfigAnswer(&f) // is there one?
	}
	if err == nil {
		_, err = a.changeNamed(f.Name, func(f *iot.Function) { f.Async = nil })
	}
	return nil, err
}

// taggedFunction reads the function whose ARN a request about tags names.
func (a *API) taggedFunction(q *request) (iot.Function, error) {
	name, err := a.knownFunction(q.labels["Resource"])
	if err != nil {
		return iot.Function{}, err
	}
	return a.cfg.Lambda.Functions.Function(name)
}

func (a *API) listFunctionTags(_ context.Context, q *request) (any, error) {
	f, err := a.taggedFunction(q)
	if err != nil {
		return nil, err
	}
	tags := f.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return struct{ Tags map[string]string }{tags}, nil
}

func (a *API) tagFunction(_ context.Context, q *request) (any, error) {
	var in struct{ Tags map[string]string }
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.Tags == nil {
		return nil, required("tags")
	}
	return a.retag(q, func(tags map[string]string) { maps.Copy(tags, in.Tags) })
}

func (a *API) untagFunction(_ context.Context, q *request) (any, error) {
	if !q.query.Has("tagKeys") {
		return nil, required("tagKeys")
	}
	return a.retag(q, func(tags map[string]string) {
		for _, key := range q.query["tagKeys"] {
			delete(tags, key)
		}
	})
}

func (a *API) retag(q *request, change func(tags map[string]string)) (any, error) {
	f, err := a.taggedFunction(q)
	if err != nil {
		return nil, err
	}
	_, err = a.changeNamed(f.Name, func(f *iot.Function) {
		tags := make(map[string]string)
		maps.Copy(tags, f.Tags)
		change(tags)
		f.Tags = tags
	})
	return nil, err
}

func (a *API) accountSettings(context.Context, *request) (any, error) {
	all, err := a.cfg.Lambda.Functions.Functions("", 1<<30)
	if err != nil {
		return nil, err
	}
	type limit struct {
		TotalCodeSize, CodeSizeUnzipped, CodeSizeZipped      int64
		ConcurrentExecutions, UnreservedConcurrentExecutions int
	}
	type usage struct{ TotalCodeSize, FunctionCount int64 }
	most := a.cfg.Lambda.MaxConcurrency
	answer := struct {
		AccountLimit limit
		AccountUsage usage
	}{limit{a.cfg.Lambda.MaxCode, 250 << 20, 50 << 20, most, most}, usage{FunctionCount: int64(len(all))}}
	for i := range all {
		answer.AccountUsage.TotalCodeSize += all[i].CodeSize
		if all[i].Reserved != nil {
			answer.AccountLimit.UnreservedConcurrentExecutions -= *all[i].Reserved
		}
	}
	return answer, nil
}
