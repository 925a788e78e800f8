//! Which order a change is about. An accession number may have several requested procedures (IHE RAD
//! TF-1 3.4), each with a study, steps and states of its own, and each an [`Order`] here.
//!
//! A message names one by the id of the requested procedure. Many name it by less: by its study, its
//! order numbers, its steps or its exam, and then that decides as far as it tells them apart.

use pacslab_model::order::{Order, OrderControl, ScheduledStep};
use pacslab_store::{OrderFilter, OrderRecord, Papers, StoreError};

use super::refused::RefusedOrder;
use super::work::Work;
use crate::patients;

/// What a change is about.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Which {
    Nobody,
    One(Box<OrderRecord>),
    /// Another requested procedure of the order that this one is of.
    Further(Box<OrderRecord>),
    /// Each of these: it tells no difference between them.
    All(Vec<OrderRecord>),
}

impl Work<'_> {
    /// The order that a change is about.
    pub(super) fn which(&self, told: &Order, control: OrderControl) -> Result<Which, RefusedOrder> {
        let of = request(self.papers(), told, control)?;
        let Some(first) = of.first().cloned() else { return Ok(Which::Nobody) };
        if control != OrderControl::New {
            return named(of, told, control);
        }
        // what this very message brought before is not what it brings now
        let (held, left): (Vec<_>, Vec<_>) =
            of.into_iter().partition(|record| self.has_touched(&record.order));
        let which = match brought(&held, left, told) {
            Some(known) => return Ok(Which::One(Box::new(known))),
            None => Which::Further(Box::new(first.clone())),
        };
        let (there, came) = (&first.order.patient.id, &told.patient.id);
        if !came.id.is_empty() && !patients::same(self.papers(), came, there)? {
            return Err(RefusedOrder::Duplicate {
                accession: first.order.accession.clone(),
                differs: format!("patient '{}' there, '{}' sent", there.id, came.id),
            });
        }
        Ok(which)
    }

    /// The one order that a change is about, if it is about one that is there.
    pub(crate) fn ordered(
        &self,
        told: &Order,
        control: OrderControl,
    ) -> Result<Option<OrderRecord>, RefusedOrder> {
        Ok(match self.which(told, control)? {
            Which::One(known) => Some(*known),
            Which::All(those) => those.into_iter().next(),
            Which::Nobody | Which::Further(_) => None,
        })
    }

    /// An order as the desk has it now.
    pub(super) fn again(&self, order: &Order) -> Result<Option<OrderRecord>, StoreError> {
        let those = of_accession(self.papers(), &order.accession)?;
        Ok(those.into_iter().find(|record| record.order.same_key(order)))
    }
}

/// The requested procedures of an accession number, the first one first; of several authorities
/// those of the one that changed last.
pub(crate) fn procedures(
    papers: &dyn Papers,
    accession: &str,
) -> Result<Vec<OrderRecord>, StoreError> {
    let all = of_accession(papers, accession)?;
    let last = all.iter().max_by_key(|record| record.changed_at).map(|last| last.order.clone());
    Ok(in_order(all, last.as_ref()))
}

/// The one that is named, or the only one.
pub(crate) fn one_of(
    those: &mut Vec<OrderRecord>,
    accession: &str,
    procedure: &str,
) -> Result<OrderRecord, RefusedOrder> {
    let accession = accession.to_owned();
    let named = |record: &OrderRecord| record.order.procedure.id == procedure;
    let at = match procedure {
        "" if those.len() > 1 => {
            return Err(RefusedOrder::WhichProcedure { accession, have: listed(those) });
        }
        "" => 0,
        _ => those.iter().position(named).unwrap_or(usize::MAX),
    };
    if at < those.len() {
        return Ok(those.swap_remove(at));
    }
    Err(match those.is_empty() {
        true => RefusedOrder::Unknown { number: accession },
        false => RefusedOrder::NoSuchProcedure {
            accession,
            procedure: procedure.to_owned(),
            have: listed(those),
        },
    })
}

fn of_accession(papers: &dyn Papers, accession: &str) -> Result<Vec<OrderRecord>, StoreError> {
    let accession = Some(accession.to_owned());
    papers.orders(&OrderFilter { accession, ..OrderFilter::default() })
}

/// Those of one request, the first one first.
fn in_order(mut all: Vec<OrderRecord>, of: Option<&Order>) -> Vec<OrderRecord> {
    all.retain(|record| of.is_some_and(|of| of.same_request(&record.order)));
    all.sort_by_key(|record| (record.order.further, record.created_at));
    all
}

/// The requested procedures that a change may be about: of its accession number, else of its order
/// numbers.
fn request(
    papers: &dyn Papers,
    told: &Order,
    control: OrderControl,
) -> Result<Vec<OrderRecord>, StoreError> {
    let by = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let accession = OrderFilter { accession: by(&told.accession), ..OrderFilter::default() };
    let placer = OrderFilter { placer_number: by(&told.placer.id), ..OrderFilter::default() };
    let filler = OrderFilter { filler_number: by(&told.filler.id), ..OrderFilter::default() };
    let same = |a: &str, b: &str| a == b || a.is_empty() || b.is_empty();
    for filter in [accession, placer, filler] {
        if filter == OrderFilter::default() {
            continue;
        }
        let by_accession = filter.accession.is_some();
        let mut found = papers.orders(&filter)?;
        if !by_accession {
            found.retain(|known| same(&known.order.placer.issuer, &told.placer.issuer));
        }
        let issuer = &told.filler.issuer;
        if let Some(known) = found.iter().find(|known| known.order.filler.issuer == *issuer) {
            let known = known.order.clone();
            return Ok(in_order(found, Some(&known)));
        }
        // accession numbers are unique per authority: another one's new order is another order
        if control == OrderControl::New {
            found.retain(|known| same(&known.order.filler.issuer, issuer));
        }
        let last = found.iter().max_by_key(|known| known.changed_at);
        // a new order is found by the number it brings; what ends one may tell any number
        if last.is_some() || (control == OrderControl::New && by_accession) {
            let last = last.map(|last| last.order.clone());
            return Ok(in_order(found, last.as_ref()));
        }
    }
    Ok(Vec::new())
}

/// The known one that a new order repeats; `None`: it is a further requested procedure. `held` are
/// those that came with the same message, `left` the others.
fn brought(held: &[OrderRecord], left: Vec<OrderRecord>, told: &Order) -> Option<OrderRecord> {
    let id = &told.procedure.id;
    if !id.is_empty() {
        let all = held.iter().cloned().chain(left);
        return all.into_iter().find(|record| record.order.procedure.id == *id);
    }
    let of_study = |record: &&OrderRecord| {
        let study = &record.order.procedure.study_uid;
        !study.is_empty() && *study == told.procedure.study_uid
    };
    if let Some(found) = left.iter().find(of_study) {
        return Some(found.clone());
    }
    // a group beside one that was there or came before it is told apart by what is to be done; in a
    // message of its own a further one has to say that it is no change of what is there
    let other = |record: &OrderRecord| match held.is_empty() {
        true => differs(&record.order, told),
        false => other_exam(&record.order, told),
    };
    let left = left.into_iter().filter(|record| !other(record)).collect();
    narrowed(left, told, true).into_iter().next()
}

fn other(a: &str, b: &str) -> bool {
    !a.is_empty() && !b.is_empty() && a != b
}

fn other_exam(known: &Order, told: &Order) -> bool {
    other(&known.procedure.code.value, &told.procedure.code.value)
}

/// Both tell it apart: what is to be done, and a number of its order or its study.
fn differs(known: &Order, told: &Order) -> bool {
    let numbers = [
        (known.placer.id.as_str(), told.placer.id.as_str()),
        (&known.filler.id, &told.filler.id),
        (known.procedure.study_uid.as_str(), told.procedure.study_uid.as_str()),
    ];
    other_exam(known, told) && numbers.into_iter().any(|(a, b)| other(a, b))
}

/// Those that a change, a cancellation or a status is about.
fn named(
    mut of: Vec<OrderRecord>,
    told: &Order,
    control: OrderControl,
) -> Result<Which, RefusedOrder> {
    let whole = of.len();
    let accession = of.first().map(|record| record.order.accession.clone()).unwrap_or_default();
    let have = listed(&of);
    let id = &told.procedure.id;
    if whole > 1 && !id.is_empty() {
        of.retain(|record| record.order.procedure.id == *id);
        if of.is_empty() {
            let procedure = id.clone();
            return Err(RefusedOrder::NoSuchProcedure { accession, procedure, have });
        }
    }
    let mut of = narrowed(of, told, control != OrderControl::StatusChange);
    let ends = matches!(control, OrderControl::Cancel | OrderControl::Discontinue);
    match of.len() {
        0 => Ok(Which::Nobody),
        1 => Ok(Which::One(Box::new(of.remove(0)))),
        _ if ends => Ok(Which::All(of)),
        _ => Err(RefusedOrder::WhichProcedure { accession, have }),
    }
}

/// Of several those that fit what is told, as long as one does.
fn narrowed(mut of: Vec<OrderRecord>, told: &Order, by_code: bool) -> Vec<OrderRecord> {
    let same = |a: &str, b: &str| !a.is_empty() && a == b;
    let step = |there: &ScheduledStep| told.steps.iter().any(|step| same(&step.id, &there.id));
    type Fits<'a> = &'a dyn Fn(&Order) -> bool;
    let tests: [Fits<'_>; 5] = [
        &|known| same(known.procedure.study_uid.as_str(), told.procedure.study_uid.as_str()),
        &|known| same(&known.placer.id, &told.placer.id),
        &|known| same(&known.filler.id, &told.filler.id),
        &|known| by_code && same(&known.procedure.code.value, &told.procedure.code.value),
        &|known| known.steps.iter().any(step),
    ];
    for fits in tests {
        if of.len() > 1 && of.iter().any(|record| fits(&record.order)) {
            of.retain(|record| fits(&record.order));
        }
    }
    of
}

/// `RP1, RP2`
pub(crate) fn listed(of: &[OrderRecord]) -> String {
    of.iter().map(|record| record.order.procedure.id.as_str()).collect::<Vec<_>>().join(", ")
}
