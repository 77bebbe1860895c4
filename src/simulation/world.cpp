#include "simulation/world.h"

#include <algorithm>

#include <fmt/format.h>

#include "backup/confirm.h"
#include "backup/retention.h"
#include "core/error.h"
#include "repository/manifest.h"
#include "repository/prune.h"

namespace backstay::simulation {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr std::uint64_t kCallsOfLastStep = 6;
constexpr core::Duration kRush = minutes(12);

/// How often one is drawn in a seed that has this fault at all.
unsigned rate(Dice& dice, unsigned most) { return dice.chance(350) ? static_cast<unsigned>(dice.between(1, most)) : 0; }

}  // namespace

World::World(std::uint64_t seed, std::filesystem::path place)
    : seed_(seed), outside_(seed), disk_(outside_.dice, std::move(place)) {
  choose_faults();
}

/// Who is at work when the world ends has no turn any more.
World::~World() {
  for (const auto& run : backups_) run->actor().process.dead = true;
}

/// Each seed has some of the faults only: what all of them hide, a few show.
void World::choose_faults() {
  Dice& dice = outside_.dice;
  rates_ = {.refuse = rate(dice, 60),
            .full = rate(dice, 30),
            .fail_after = rate(dice, 40),
            .reset = rate(dice, 60),
            .lose_answer = rate(dice, 40),
            .late = rate(dice, 60),
            .twice = rate(dice, 60),
            .cut = rate(dice, 30),
            .corrupt = rate(dice, 30),
            .stale = rate(dice, 300)};
  gap_rate_ = rate(dice, 120);
  disk_fails_ = rate(dice, 100);
  kill_rate_ = dice.chance(700) ? static_cast<unsigned>(dice.between(20, 400)) : 0;
  // Two clocks that are wrong at once are more than the format promises to bear.
  store_clock_wrong_ = dice.chance(200);
  // What an old listing hides is kept by its age, and that of WAL only the store knows.
  if (store_clock_wrong_) rates_.stale = 0;
  clocks_wrong_ = !store_clock_wrong_ && dice.chance(200);
  outside_.store.conditional_put = dice.chance(700);
  hurry_ = dice.chance(150);
  grace_ = dice.chance(500) ? hours(24) : hours(2);
}

void World::say(std::string what) {
  report_.steps.push_back(fmt::format("{} {}", core::format_time(outside_.time.now), what));
}

Report World::run() {
  try {
    set_up();
    outside_.store.rates = rates_;
    disk_.fail(disk_fails_);
    for (std::uint64_t turns = outside_.dice.between(15, 45); turns > 0; --turns) turn();
    make_peace();
    finish_all_work();
    check("after all work was finished");
    collect_garbage();
    check("after the garbage was collected");
    remove_everything();
  } catch (const Broken& broken) {
    report_.broken = broken.what();
  } catch (const std::exception& error) {
    report_.broken = fmt::format("unexpected: {}", error.what());
  }
  report_.requests = outside_.store.requests;
  report_.gaps = oracle_ ? oracle_->gaps.size() : 0;
  return std::move(report_);
}

/// The repository and the instance's record, before anything goes wrong.
void World::set_up() {
  SeededRandom random(seed_ + 1);
  server_ = std::make_unique<ModelServer>(outside_.dice, random.uuid());
  oracle_ = std::make_unique<Oracle>(*server_);
  peace_ = true;
  work_alone("installer", [&](Actor& actor) {
    repository::InstanceRecord record{.instance = server_->instance(), .service_name = "model"};
    record.wal_segment_size = kSegmentSize;
    record.created = actor.clock.now();
    actor.repository().put_instance(record);
  });
  peace_ = false;
}

void World::turn() {
  Dice& dice = outside_.dice;
  advance();
  let_clocks_jump();
  if (dice.chance(60)) {
    outside_.store.away = !outside_.store.away;
    say(outside_.store.away ? "the store is away" : "the store is back");
  }
  server_->work(dice, dice.chance(100) ? dice.below(1'500'000) : dice.below(120'000));
  if (backups_.size() < 2 && dice.chance(in_rush() ? 900 : 400)) begin_backup();
  run_tasks(choose_tasks());
  clear_ended();
  if (dice.chance(80)) check("meanwhile");
}

void World::advance() {
  Dice& dice = outside_.dice;
  const auto kind = dice.below(10);
  if (in_rush()) {
    outside_.time.now += std::chrono::seconds(dice.below(30));
  } else if (hurry_) {
    outside_.time.now += std::chrono::seconds(dice.below(90));
  } else if (kind < 5) {
    outside_.time.now += minutes(dice.below(20));
  } else if (kind < 9) {
    outside_.time.now += minutes(dice.below(26 * 60));
  } else {
    outside_.time.now += hours(dice.below(80));
  }
}

void World::let_clocks_jump() {
  Dice& dice = outside_.dice;
  const auto error = [&] { return core::Duration(hours(dice.between(0, 240))) - hours(120); };
  if (store_clock_wrong_ && dice.chance(200)) {
    outside_.time.store_error = error();
    say(fmt::format("the store's clock is off by {}", core::format_duration(outside_.time.store_error)));
  }
  if (!clocks_wrong_) return;
  for (const auto& run : backups_) {
    if (dice.chance(100)) run->actor().process.clock_error = error();
  }
}

Actor& World::helper(const std::string& name) {
  helpers_.push_back(std::make_unique<Actor>(outside_, name));
  Actor& actor = *helpers_.back();
  if (clocks_wrong_ && !peace_ && outside_.dice.chance(300)) {
    actor.process.clock_error = core::Duration(hours(outside_.dice.between(0, 240))) - hours(120);
  }
  return actor;
}

World::Task World::task(Actor& actor, std::string what, std::function<void()> work) {
  if (!peace_ && outside_.dice.chance(kill_rate_)) {
    actor.process.dies_at = actor.process.calls + outside_.dice.between(1, 40);
    actor.process.dies_after = outside_.dice.chance(500);
  }
  const auto perform = [this, &actor, what = std::move(what), work = std::move(work)] {
    std::string outcome = "done";
    bool over = false;
    try {
      work();
    } catch (const core::Error& error) {
      outcome = error.message();
      // A backup ends after seven days, and one that is being removed is not taken again, whatever else is right.
      using enum core::Code;
      over = error.code() == kConflict || error.code() == kTimeout || error.code() == kWalGap;
    } catch (const std::exception& broken) {
      report_.broken = fmt::format("{}: {}", what, broken.what());
    }
    if (actor.process.dead) {
      outcome = fmt::format("killed at its request {}", actor.process.calls);
      ++report_.deaths;
    }
    say(fmt::format("[{}] {}: {}", actor.process.name, what, outcome));
    if (peace_ && outcome != "done" && !over) throw Broken(fmt::format("{} cannot go on in peace: {}", what, outcome));
  };
  return {.process = &actor.process, .work = perform};
}

void World::run_tasks(std::vector<Task> tasks) {
  std::string broken;
  for (Task& task : tasks) {
    task.work = [work = std::move(task.work), &broken] {
      try {
        work();
      } catch (const std::exception& error) {
        broken = error.what();
      }
    };
  }
  outside_.turns.run(std::move(tasks));
  if (!broken.empty()) throw Broken(broken);
  if (!report_.broken.empty()) throw Broken(report_.broken);
}

template <typename Work>
void World::work_alone(const std::string& name, Work work) {
  Actor& actor = helper(name);
  run_tasks({task(actor, name, [&] { work(actor); })});
  helpers_.clear();
}

void World::begin_backup() {
  if (!failed_.empty() && outside_.dice.chance(600)) {
    const auto [id, attempts] = failed_.back();
    failed_.pop_back();
    backups_.push_back(std::make_unique<BackupRun>(outside_, *server_, *oracle_, id, attempts + 1));
    return;
  }
  SeededRandom random(outside_.dice.number());
  backups_.push_back(std::make_unique<BackupRun>(outside_, *server_, *oracle_, random.uuid(), 1));
  ++report_.backups;
}

void World::clear_ended() {
  std::erase_if(backups_, [&](const auto& run) {
    if (!run->done() && !run->failed() && !run->actor().process.dead) return false;
    if (run->done() && run->went_by_map()) ++report_.by_map;
    if (!run->done() || run->actor().process.dead) {
      if (!run->refused() && (outside_.dice.chance(700) || peace_)) {
        failed_.emplace_back(run->id(), run->attempt());
      } else {
        ended_.insert(run->id());
      }
    }
    return true;
  });
  if (receiver_ && receiver_->actor().process.dead) receiver_.reset();
  helpers_.clear();
}

std::vector<World::Task> World::choose_tasks() {
  Dice& dice = outside_.dice;
  std::vector<Task> tasks;
  if (dice.chance(700)) tasks.push_back(stream_wal(dice.below(2'000'000)));
  for (const auto& run : backups_) {
    if (!run->waits() && dice.chance(700)) tasks.push_back(continue_backup(*run));
  }
  if (dice.chance(150)) tasks.push_back(confirm());
  if (dice.chance(150)) tasks.push_back(prune());
  if (dice.chance(60)) tasks.push_back(prune());
  if (dice.chance(100)) tasks.push_back(retain());
  return tasks;
}

World::Task World::stream_wal(std::uint64_t bytes) {
  if (!receiver_) receiver_ = std::make_unique<Receiver>(outside_, *server_, *oracle_, disk_.root(), ++epoch_);
  if (!peace_ && outside_.dice.chance(gap_rate_)) {
    say("the receiver lets WAL go");
    receiver_->let_go();
  }
  return task(receiver_->actor(), "streams WAL", [this, bytes] {
    receiver_->step(bytes);
    if (const std::string trouble = receiver_->trouble(); !trouble.empty()) say("  " + trouble);
  });
}

World::Task World::continue_backup(BackupRun& run) {
  Task next = task(run.actor(), fmt::format("step {}", run.steps_done()), [&run] { run.step(); });
  if (run.is_last() && !peace_ && outside_.dice.chance(kill_rate_)) {
    run.actor().process.dies_at = run.actor().process.calls + outside_.dice.between(1, kCallsOfLastStep);
    run.actor().process.dies_after = outside_.dice.chance(700);
    rush_until_ = outside_.time.now + kRush;
  }
  return next;
}

World::Task World::confirm() {
  Actor& actor = helper("reader");
  return task(actor, "confirms", [this, &actor] {
    std::vector<std::string> ids;
    for (const auto& [id, promise] : oracle_->promises) {
      if (promise.must_be_there()) ids.push_back(id);
    }
    if (ids.empty()) return;
    const std::string& id = ids[outside_.dice.below(ids.size())];
    const auto report =
        backup::confirm_backup(actor.environment(), actor.repository(), server_->instance(), id, nullptr, {}, 1);
    if (actor.process.dead) return;
    const bool honest = rates_.cut == 0 && rates_.corrupt == 0 && rates_.stale == 0;
    if (!report.ok() && (honest || peace_) && !oracle_->promises[id].may_go) {
      throw Broken(fmt::format("backup {} is not confirmed: {}", id, report.problems.front().what));
    }
    oracle_->promises[id].confirmed = report.ok();
  });
}

World::Task World::prune() {
  Actor& actor = helper("pruner");
  repository::PruneRequest request{.ended = ended_, .grace = grace_, .dry_run = outside_.dice.chance(50)};
  request.packs = outside_.dice.chance(800);
  return task(actor, request.dry_run ? "looks what to prune" : "prunes", [this, &actor, request]() mutable {
    repository::Repository& repository = actor.repository();
    for (auto& [id, promise] : oracle_->promises) {
      if (!promise.stored || promise.gone || !outside_.dice.chance(200)) continue;
      const bool may_go = std::exchange(promise.may_go, true);
      if (oracle_->has_confirmed_left() && !request.dry_run) {
        request.backups.push_back({server_->instance(), id, "somebody wants it gone"});
      } else {
        promise.may_go = may_go;
      }
    }
    if (outside_.dice.chance(500)) {
      // Whoever wants all WAL gone keeps what each backup needs by itself.
      const std::uint64_t cut = outside_.dice.chance(300) ? oracle_->acknowledged : oracle_->oldest_start();
      if (!request.dry_run) oracle_->wal_cut = std::max(oracle_->wal_cut, cut);
      request.wal.push_back({.instance = server_->instance(), .timeline = 1, .lsn = cut, .reason = "nobody needs it"});
    }
    const auto report = repository::prune(repository, request, {});
    for (const auto& step : report.steps) {
      say(fmt::format("  {} {}: {} objects, {}", repository::to_text(step.action), step.object, step.objects,
                      step.why));
    }
  });
}

World::Task World::retain() {
  Actor& actor = helper("retention");
  return task(actor, "applies the retention", [this, &actor] {
    model::RetentionQuestion question;
    question.now = {actor.clock.now()};
    question.retention_days = static_cast<std::int64_t>(outside_.dice.between(1, 5));
    question.instances = {{.id = server_->instance()}};
    for (const auto& [id, promise] : oracle_->promises) {
      if (!promise.stored || promise.gone) continue;
      model::RetainedBackup backup{.id = id, .instance_id = server_->instance(), .confirmed = promise.confirmed};
      backup.stamps = {promise.stop_time, promise.stored_time};
      backup.timeline = 1;
      backup.start_lsn = promise.start_lsn;
      backup.stop_lsn = promise.stop_lsn;
      question.backups.push_back(std::move(backup));
    }
    const auto decided = [this](const auto& asked, const model::RetentionDecision& decision) {
      oracle_->note(asked, decision);
    };
    repository::PruneRequest options{.ended = ended_, .grace = grace_};
    const auto outcome = backup::apply_retention(actor.repository(), question, options, {}, decided);
    if (actor.process.dead) return;
    for (const std::string& id : outcome.gone) oracle_->promises[id].gone = true;
  });
}

void World::check(const char* when) {
  const StoreState::Shown shown(outside_.store);
  Actor& actor = helper("observer");
  actor.process.unhindered = true;
  try {
    oracle_->check(actor.repository(), outside_.store.bucket);
  } catch (const std::exception& error) {
    throw Broken(fmt::format("{}: {}", when, error.what()));
  }
  helpers_.clear();
}

/// No more faults; everybody who is dead stays so.
void World::make_peace() {
  say("peace");
  peace_ = true;
  outside_.store.rates = {};
  disk_.fail(0);
  outside_.store.away = false;
  outside_.time.store_error = {};
  for (const auto& run : backups_) run->actor().process.clock_error = {};
  const auto forgive = [](Actor& actor) { actor.process.dies_at.reset(); };
  for (const auto& run : backups_) forgive(run->actor());
  if (receiver_) forgive(receiver_->actor());
}

void World::finish_all_work() {
  constexpr int kTurns = 400;
  // A gap ends where a segment begins.
  if (server_->kept_from > 0) server_->work(outside_.dice, 2 * kSegmentSize);
  bool again = true;
  for (int turns = 0; again || !backups_.empty() || oracle_->acknowledged < server_->lsn(); ++turns) {
    if (turns == kTurns) throw Broken("in peace, work does not come to its end");
    outside_.time.now += minutes(1);
    if (again && backups_.empty()) {
      again = !failed_.empty();
      begin_backup();
    }
    std::vector<Task> tasks = {stream_wal(8'000'000)};
    for (const auto& run : backups_) {
      if (!run->waits()) tasks.push_back(continue_backup(*run));
    }
    run_tasks(std::move(tasks));
    clear_ended();
  }
  for (auto& [id, promise] : oracle_->promises) {
    if (!promise.must_be_there()) continue;
    work_alone("reader", [&](Actor& actor) {
      const auto report =
          backup::confirm_backup(actor.environment(), actor.repository(), server_->instance(), id, nullptr, {}, 1);
      if (!report.ok()) {
        throw Broken(fmt::format("backup {} is not confirmed: {}", id, report.problems.front().what));
      }
    });
    promise.confirmed = true;
  }
}

void World::collect_garbage() {
  const auto round = [this](core::Duration wait) {
    work_alone("pruner", [&](Actor& actor) { repository::prune(actor.repository(), {.grace = grace_}, {}); });
    outside_.time.now += wait;
  };
  // The marks of the dead are over after eight days; what has a time to come waits for it.
  for (const int wait : {25, 9 * 24, 6 * 24, 25, 25, 25}) round(hours(wait));
  check_nothing_left();
}

void World::check_nothing_left() {
  std::set<std::string> needed;
  work_alone("observer", [&](Actor& actor) {
    for (const std::string& id : actor.repository().backup_ids(server_->instance())) {
      const auto record = actor.repository().backup(server_->instance(), id).value();
      repository::ManifestReader manifest(actor.repository(), record);
      needed.insert(repository::backup_record_name(record).key);
      needed.insert(repository::manifest_name(record).key);
      for (const auto& pack : manifest.packs()) needed.insert(repository::pack_key(pack));
    }
  });
  for (const auto& [key, object] : outside_.store.bucket.objects()) {
    const bool other = key == "backstay.json" || key.find("/wal/") != std::string::npos ||
                       key.find("/changes/") != std::string::npos || key.ends_with("/instance") ||
                       key.starts_with(".backstay-condition");
    if (!other && !needed.contains(key)) throw Broken(fmt::format("'{}' is left over", key));
  }
}

void World::remove_everything() {
  repository::PruneRequest request{.grace = grace_};
  for (auto& [id, promise] : oracle_->promises) {
    promise.may_go = true;
    request.backups.push_back({server_->instance(), id, "the instance is deleted"});
  }
  request.instances = {server_->instance()};
  for (int round = 0; round < 4; ++round) {
    work_alone("pruner", [&](Actor& actor) { repository::prune(actor.repository(), request, {}); });
    outside_.time.now += hours(25);
  }
  for (const auto& [key, object] : outside_.store.bucket.objects()) {
    if (key != "backstay.json" && !key.starts_with(".backstay-condition")) {
      throw Broken(fmt::format("'{}' is left of a deleted instance", key));
    }
  }
}

}  // namespace backstay::simulation
