#include "sim/seed_runs.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <map>
#include <stdexcept>

namespace orrery::test {

namespace {

/// What a process says: of each seed once that it begins, and once what came of it.
struct Word {
  std::uint64_t seed = 0;
  std::uint64_t hash = 0, events = 0;
  sim::Micros time = 0;
  std::uint32_t breach = 0;  // bytes of text that follow
  std::uint32_t done = 0;
};

static_assert(std::is_trivially_copyable_v<Word>);

/// The next seed to be begun, shared by all processes.
class Counter {
 public:
  Counter()
      : memory_(::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::runtime_error("no shared memory for seeds");
    new (memory_) std::atomic<std::uint64_t>(0);
  }

  ~Counter() { ::munmap(memory_, sizeof(std::atomic<std::uint64_t>)); }

  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  std::atomic<std::uint64_t>& operator*() const {
    return *static_cast<std::atomic<std::uint64_t>*>(memory_);
  }

 private:
  void* memory_;
};

struct Worker {
  pid_t process = -1;
  int words = -1;  // read end of its pipe
  ByteVector read;
  std::optional<std::uint64_t> begun;  // a seed of which nothing more was heard
};

void say(int to, const void* what, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(what);
  while (size != 0) {
    const ssize_t n = ::write(to, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) ::_exit(1);
    bytes += n;
    size -= static_cast<std::size_t>(n);
  }
}

[[noreturn]] void work(const SceneCase& scene, std::uint64_t first, std::uint64_t count,
                       std::atomic<std::uint64_t>& next, int to) {
  for (std::uint64_t i = next++; i < count; i = next++) {
    Word word{.seed = first + i};
    say(to, &word, sizeof word);
    SceneRun run;
    try {
      run = run_scene(scene, word.seed);
    } catch (const std::exception& failure) {
      run.breach = std::string("throws: ") + failure.what();
    }
    word = {
        word.seed, run.hash, run.events, run.time, static_cast<std::uint32_t>(run.breach.size()),
        1};
    say(to, &word, sizeof word);
    say(to, run.breach.data(), run.breach.size());
  }
  ::_exit(0);
}

Worker start(const SceneCase& scene, std::uint64_t first, std::uint64_t count,
             std::atomic<std::uint64_t>& next) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe for a process");
  std::fflush(nullptr);
  const pid_t process = ::fork();
  if (process < 0) throw std::runtime_error("no further process can be started");
  if (process == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    work(scene, first, count, next, ends[1]);
  }
  ::close(ends[1]);
  return {process, ends[0], {}, {}};
}

std::string end_of(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return std::string("ends with ") + ::strsignal(WTERMSIG(status));
  return "ends with exit code " + std::to_string(WEXITSTATUS(status));
}

/// What is complete of what was read.
void take_words(Worker& worker, std::map<std::uint64_t, SceneRun>& done) {
  std::size_t at = 0;
  Word word;
  while (worker.read.size() - at >= sizeof word) {
    std::memcpy(&word, worker.read.data() + at, sizeof word);
    if (worker.read.size() - at - sizeof word < word.breach) break;
    at += sizeof word;
    worker.begun = word.seed;
    if (word.done != 0) {
      worker.begun.reset();
      const auto* text = reinterpret_cast<const char*>(worker.read.data() + at);
      done[word.seed] = {std::string(text, word.breach), word.hash, word.events, word.time, {}, {}};
    }
    at += word.breach;
  }
  worker.read.erase(worker.read.begin(), worker.read.begin() + static_cast<std::ptrdiff_t>(at));
}

/// False at the end of the process.
bool hear(Worker& worker, std::map<std::uint64_t, SceneRun>& done) {
  std::array<std::uint8_t, 4096> buffer;
  const ssize_t n = ::read(worker.words, buffer.data(), buffer.size());
  if (n < 0 && errno == EINTR) return true;
  if (n > 0) {
    worker.read.insert(worker.read.end(), buffer.begin(), buffer.begin() + n);
    take_words(worker, done);
    return true;
  }
  ::close(worker.words);
  const std::string end = end_of(worker.process);
  if (worker.begun) done[*worker.begun] = {"the process " + end, 0, 0, 0, {}, {}};
  return false;
}

}  // namespace

unsigned usable_processors() {
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&usable));
}

void run_many(const SceneCase& scene, std::uint64_t first, std::uint64_t count, unsigned jobs,
              const std::function<void(std::uint64_t seed, const SceneRun& run)>& each) {
  const Counter next;
  std::vector<Worker> workers;
  for (unsigned i = 0; i < jobs && i < count; ++i)
    workers.push_back(start(scene, first, count, *next));
  std::map<std::uint64_t, SceneRun> done;  // that others before them are waited for
  std::uint64_t told = first;
  std::vector<pollfd> polled;
  while (!workers.empty()) {
    polled.clear();
    for (const Worker& worker : workers) polled.push_back({worker.words, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    for (std::size_t i = workers.size(); i-- > 0;) {
      if (polled[i].revents == 0 || hear(workers[i], done)) continue;
      workers.erase(workers.begin() + static_cast<std::ptrdiff_t>(i));
      if (*next < count) workers.push_back(start(scene, first, count, *next));
    }
    for (auto it = done.find(told); it != done.end(); it = done.find(told)) {
      each(told++, it->second);
      done.erase(it);
    }
  }
}

}  // namespace orrery::test
