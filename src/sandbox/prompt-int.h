/* prompt-int.h - what a front of the prompts is, for prompt.c and the fronts. */
#pragma once

#include "sandbox/prompt.h"

struct prompt_front;

struct prompt_front_ops {
    /* A new question is open. Only queues: nothing here may answer. */
    void (*show)(struct prompt_front *f, const struct open_question *q, int64_t now_ms);
    /* That question is no longer open. NULL: the front does not care. */
    void (*close)(struct prompt_front *f, const struct open_question *q);
    int (*fd)(const struct prompt_front *f);
    short (*events)(const struct prompt_front *f);
    /* Each returns -1 when the channel is gone for good. */
    int (*ready)(struct prompt_front *f, short revents, int64_t now_ms);
    int (*tick)(struct prompt_front *f, int64_t now_ms);
    int64_t (*deadline)(const struct prompt_front *f);
    /* For fronts that hold a terminal; else NULL. */
    void (*suspend)(struct prompt_front *f);
    void (*resume)(struct prompt_front *f, int64_t now_ms);
    bool (*has_terminal)(const struct prompt_front *f);
    void (*free)(struct prompt_front *f);
};

struct prompt_front {
    const struct prompt_front_ops *ops;
    struct prompt *prompt;
};

/* What a front reports. False when no question with that id is open. */
bool prompt_answer(struct prompt *p, struct str id, bool allow, enum question_scope scope,
                   struct str reason, int64_t now_ms);

/* The channel said something that is no answer: every open question is denied. */
void prompt_malformed(struct prompt *p, int64_t now_ms);

/* The questions, for fronts that show one after the other. */
const struct questions *prompt_questions(const struct prompt *p);

/* How long an answer may take, in ms. */
int64_t prompt_patience(const struct prompt *p);

/* Each makes a front; `fd` is taken on success. */
int prompt_json_new(struct prompt *p, int fd, struct prompt_front **out, struct err *e);
int prompt_tty_new(struct prompt *p, int fd, struct prompt_front **out, struct err *e);
