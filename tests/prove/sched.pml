/* sched.pml - the runtime's counts, queue, and park and wake, for spin: every state of W workers that run a plan
 * of N tiles.
 *
 * Each statement is one operation on what workers share; atomic { } stands where the C has one exchange. It
 * is the algorithm under sequential consistency; memory orders, bells inside, and the C itself are the
 * explorer's part (explore.h). Here a bell is a flag, and to park is to wait for it: that a ring is not lost
 * between the look and the wait, the explorer proves of bell.c.
 *
 *   here            in the C
 *   wake            team.c dg_team_wake()
 *   doze, rise      team.c dg_team_doze(), dg_team_rise()
 *   push, look      queue.h dg_queue_push(), sched.c pop() and look_for_tile()
 *   pass_on         sched.c wake_for_next()
 *   lower           sched.c lower_count()
 *   job             sched.c dataflow(), wait_for(), policy.h finish()
 *   worker 0        sched.c dg_run_step(), team.c dg_team_run()
 *   helper          team.c helper()
 *
 * One queue stands for all: a worker that finds nothing has looked at each.
 *
 * Plans: 0, the diamond 0 -> 1, 2 -> 3, in two steps; 1, two tiles that each keep one and push one to the same
 * queue: 0 -> 2, 3; 1 -> 4, 5.
 *
 * NO_PASS_ON and NO_SECOND_LOOK leave something out, and spin has to find what that leads to. */

#ifndef W
#define W 3
#endif
#ifndef PLAN
#define PLAN 0
#endif
#if PLAN == 0
#define N 4
#define STEPS 2
#else
#define N 6
#define STEPS 1
#endif
#define NONE 255
#define DONE 254

byte waits[N + 1];    /* [N]: the end */
byte slots[N + 1];    /* 0: empty, else tile + 1 */
byte head, tail, sleepers, inside;
bool asleep[W], bell[W], left, over, ended, finished;
byte ran[N];
byte step;

/* What the assertions look at: is it in a tile; is it parked? */
bool working[W], parked[W];

inline wake(count)
{
    atomic { w_i = (sleepers == 0 -> W : 0); w_n = count }
    do
    :: atomic { w_i < W && w_n > 0 ->
        w_up = asleep[w_i];
        asleep[w_i] = false;
        w_i++;
        w_at = (w_up -> w_i - 1 : W);
        w_up = false }
        if
        :: atomic { w_at < W -> sleepers-- }
            atomic { bell[w_at] = true; w_n--; w_at = 0 }
        :: atomic { w_at == W -> w_at = 0 }
        fi
    :: atomic { w_i == W || w_n == 0 -> w_i = 0; w_n = 0; break }
    od
}

inline push(t)
{
    atomic { p_at = tail; tail++ }
    atomic { slots[p_at] = t + 1; p_at = 0 }
}

inline pass_on()
{
#ifndef NO_PASS_ON
    if
    :: slots[at + 1] != 0 ->
        if
        :: sleepers != 0 -> wake(1)
        :: else
        fi
    :: else
    fi
#else
    skip
#endif
}

inline look()
{
    do
    :: true ->
        at = head;
        tile = slots[at];
        if
        :: atomic { tile == 0 -> tile = (over -> DONE : NONE); at = 0; break }
        :: atomic { tile != 0 && head == at -> head++; tile-- }
            pass_on();
            at = 0;
            break
        :: atomic { tile != 0 && head != at -> tile = 0; at = 0 }
        fi
    od
}

inline run_tile()
{
    d_step {
        assert(ran[tile] == step - 1); /* once a step */
#if PLAN == 0
        assert(tile != 1 && tile != 2 || ran[0] == step);
        assert(tile != 3 || ran[1] == step && ran[2] == step);
#else
        assert(tile != 2 && tile != 3 || ran[0] == step);
        assert(tile != 4 && tile != 5 || ran[1] == step);
#endif
        working[me] = true
    }
    d_step { ran[tile]++; working[me] = false }
}

inline lower(node)
{
    atomic { waits[node]--; last = waits[node] == 0 }
}

inline the_end()
{
    d_step {
        tile = 0;
        do
        :: tile < N -> assert(ran[tile] == step); tile++
        :: else -> break
        od
    }
    over = true;
    wake(W);
    tile = NONE
}

/* Lowers what the tile leads to; the next tile, or NONE. */
inline finish()
{
#if PLAN == 0
    if
    :: tile == 0 -> push(2); wake(1); tile = 1
    :: tile == 1 || tile == 2 ->
        lower(3);
        if
        :: last -> tile = 3
        :: else -> tile = NONE
        fi
    :: tile == 3 -> the_end()
    fi;
#else
    if
    :: tile < 2 -> tile = 2 + 2 * tile; push(tile + 1); wake(1)
    :: else ->
        lower(N);
        if
        :: last -> the_end()
        :: else -> tile = NONE
        fi
    fi;
#endif
    last = false
}

inline job()
{
    tile = NONE;
    do
    :: true ->
        if
        :: tile == NONE ->
            look();
            do
            :: tile == NONE ->
                sleepers++;
                asleep[me] = true;
#ifdef NO_SECOND_LOOK
                tile = NONE;
#else
                look();
#endif
                if
                :: tile == NONE ->
                    parked[me] = true;
                    atomic { bell[me]; bell[me] = false; parked[me] = false }
                    look()
                :: else ->
                    atomic { got = asleep[me]; asleep[me] = false }
                    if
                    :: got -> sleepers--
                    :: else -> atomic { bell[me]; bell[me] = false }; wake(1)
                    fi;
                    got = false;
                    break
                fi
            :: else -> break
            od
        :: else
        fi;
        if
        :: tile == DONE -> break
        :: else -> run_tile(); finish()
        fi
    od;
    tile = 0
}

inline reset()
{
    d_step { /* nobody else is there */
        assert(sleepers == 0 && inside == 0);
        over = false;
        head = 0; tail = 0;
        i = 0;
        do
        :: i <= N -> slots[i] = 0; i++
        :: else -> break
        od;
#if PLAN == 0
        waits[3] = 2;
        slots[0] = 1; tail = 1;
#else
        waits[N] = 4;
        slots[0] = 1; slots[1] = 2; tail = 2;
#endif
        step++;
        inside = W - 1
    }
}

proctype helper(byte me)
{
    byte tile, at, w_i, w_n, w_at, p_at;
    bool got, last, w_up;

    do
    :: atomic { bell[me]; bell[me] = false }
        if
        :: ended -> break
        :: else
        fi;
        job();
        atomic { inside--; last = inside == 0 }
        if
        :: last -> left = true
        :: else
        fi;
        last = false
    od
}

init
{
    byte tile, at, w_i, w_n, w_at, p_at;
    bool got, last, w_up;
    byte me = 0, i;

    i = 1;
    do
    :: i < W -> run helper(i); i++
    :: else -> break
    od;
    do
    :: step < STEPS ->
        reset();
        i = 1;
        do
        :: i < W -> bell[i] = true; i++
        :: else -> break
        od;
        i = 0;
        job();
#if W > 1
        atomic { left; left = false }
#endif
    :: else -> break
    od;
    ended = true;
    i = 1;
    do
    :: i < W -> bell[i] = true; i++
    :: else -> break
    od;
    finished = true
}

/* A tile lies ready, a worker is parked, and nobody who might wake it is at work on anything but a tile. */
#define IDLE(w) (parked[w] && !bell[w])
#define BUSY(w) (working[w] || IDLE(w))
#if W == 3
#define QUIET (BUSY(0) && BUSY(1) && BUSY(2) && (IDLE(0) || IDLE(1) || IDLE(2)))
#else
#define QUIET (BUSY(0) && BUSY(1) && (IDLE(0) || IDLE(1)))
#endif

ltl conserving { [] !(QUIET && slots[head] != 0) }
ltl ends { <> finished }
