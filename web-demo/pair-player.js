/** The second video is moved when it is further than this from the first: a little over two frames at 30 a second. */
const MAX_DRIFT_S = 0.08;

/** Plays two videos of the same clip as one: one button, one position. The leader has the sound. */
export class PairPlayer {
  #leader;
  #follower;
  #play;
  #seek;
  #clock;
  #note;
  #followerPlays = false;
  #seeking = false;

  constructor({ leader, follower, play, seek, clock, note }) {
    this.#leader = leader;
    this.#follower = follower;
    this.#play = play;
    this.#seek = seek;
    this.#clock = clock;
    this.#note = note;

    for (const control of [play, leader, follower]) control.addEventListener('click', () => this.#toggle());
    seek.addEventListener('input', () => this.#goTo(Number(seek.value)));
    seek.addEventListener('pointerdown', () => this.#hold(true));
    for (const end of ['pointerup', 'pointercancel', 'change']) {
      seek.addEventListener(end, () => this.#hold(false));
    }
    for (const change of ['play', 'pause', 'ended']) leader.addEventListener(change, () => this.#stateChanged());
    for (const change of ['loadedmetadata', 'durationchange', 'timeupdate']) {
      leader.addEventListener(change, () => this.#timeChanged());
    }
    // Who waits for data is waited for.
    leader.addEventListener('waiting', () => follower.pause());
    leader.addEventListener('playing', () => this.#followLeader());
    follower.addEventListener('canplay', () => this.#followerReady());
    follower.addEventListener('error', () => this.#followerFailed());
  }

  load(leaderUrl, followerUrl) {
    this.#followerPlays = false;
    this.#note.textContent = '';
    this.#leader.src = leaderUrl;
    this.#follower.src = followerUrl;
  }

  unload() {
    for (const video of [this.#leader, this.#follower]) {
      video.pause();
      video.removeAttribute('src');
      video.load();
    }
    this.#followerPlays = false;
    this.#play.classList.remove('playing');
  }

  #toggle() {
    if (this.#leader.paused) this.#leader.play().catch(() => {});
    else this.#leader.pause();
  }

  #goTo(seconds) {
    this.#leader.currentTime = seconds;
    if (this.#followerPlays) this.#follower.currentTime = seconds;
    this.#showTime(seconds);
  }

  #hold(seeking) {
    this.#seeking = seeking;
  }

  #stateChanged() {
    const playing = !this.#leader.paused && !this.#leader.ended;
    this.#play.classList.toggle('playing', playing);
    this.#play.setAttribute('aria-label', playing ? 'Pause' : 'Play');
    if (!playing) this.#follower.pause();
    if (!playing) this.#align();
    if (playing) this.#tick();
  }

  #followerReady() {
    this.#followerPlays = true;
    this.#followLeader();
  }

  #followerFailed() {
    if (!this.#follower.hasAttribute('src')) return;
    this.#followerPlays = false;
    this.#note.textContent = '(your browser cannot play this format; the blurred one it can)';
  }

  #followLeader() {
    if (!this.#followerPlays || this.#leader.paused) return;
    this.#align();
    this.#follower.play().catch(() => {});
  }

  #align() {
    if (!this.#followerPlays || this.#follower.seeking) return;
    const goal = Math.min(this.#leader.currentTime, this.#follower.duration || 0);
    if (Math.abs(this.#follower.currentTime - goal) > MAX_DRIFT_S) this.#follower.currentTime = goal;
  }

  #tick() {
    if (this.#leader.paused) return;
    this.#timeChanged();
    this.#align();
    requestAnimationFrame(() => this.#tick());
  }

  #timeChanged() {
    this.#seek.max = String(this.#duration());
    if (!this.#seeking) this.#showTime(this.#leader.currentTime);
  }

  #showTime(seconds) {
    this.#seek.value = String(seconds);
    this.#clock.textContent = `${minutes(seconds)} / ${minutes(this.#duration())}`;
    this.#seek.setAttribute('aria-valuetext', this.#clock.textContent);
  }

  #duration() {
    return Number.isFinite(this.#leader.duration) ? this.#leader.duration : 0;
  }
}

function minutes(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
